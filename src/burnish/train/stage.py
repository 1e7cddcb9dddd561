"""The training stage: a model, prepared rows and settings in, tuned weights out."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError

from burnish.artefacts import Dataset, Losses, TrainedModel
from burnish.catalogue import build
from burnish.data.store import read_records
from burnish.errors import TrainError
from burnish.logs import say, warn
from burnish.models.adapter import Adapter
from burnish.models.builtin import cache_folder
from burnish.models.chat_template import Encoder
from burnish.models.device import peak_memory_bytes, pick_device, products
from burnish.models.fewer_layers import layers_of
from burnish.models.joint import weights_stay
from burnish.models.kinship import share_initialisation
from burnish.models.load import LoadedModel, identify, load_model
from burnish.models.memory import give_back_freed_memory, keep_freed_memory, set_files_aside
from burnish.models.reward_head import base_key, completion_scores, save_head
from burnish.models.seats import VALUE, value_head
from burnish.models.settings import ModelSettings
from burnish.models.vllm_writer import VLLMWriter, require_vllm
from burnish.records import Record, content_digest
from burnish.run_folder import RunFolder
from burnish.statistics.reply_length import longer_is_chosen
from burnish.train.batches import DataOrder, Rows, step_seed
from burnish.train.encode_file import encode_file
from burnish.train.encoded_cache import EncodedCache
from burnish.train.encoding import Encoding, check_rows, encode_rows, tell
from burnish.train.engine import Engine
from burnish.train.footprint import Footprint, check_fits, largest_row, predict
from burnish.train.known_targets import KnownTargets
from burnish.train.looks import SAMPLES
from burnish.train.loop import Work, learn_reference, learn_teacher, run_steps
from burnish.train.method import Method, ReadsBeside, Writes
from burnish.train.methods.distill import Distill
from burnish.train.metrics_log import metrics_log
from burnish.train.optimiser import make_optimiser, trained_weights
from burnish.train.resume import Checkpoints, Progress
from burnish.train.reward_report import reward_report
from burnish.train.sampling import SamplingMethod, SamplingSettings
from burnish.train.settings import ResolvedTrainSettings, TrainSettings, resolve, resolve_length
from burnish.train.teaching import TEACHER, load_teacher, teacher_identity
from burnish.train.tracking import Trackers

METRICS = "train/metrics.jsonl"
REFERENCE = "train/reference.safetensors"
REWARD_MODEL = "train/reward_model.json"
_NO_PART_IN_THE_RESULT = {"trackers", "checkpoint_every", "keep_checkpoints", "heldout_loss_every", "heldout_rows"}


def train(
    settings: TrainSettings,
    model: ModelSettings,
    dataset: Dataset,
    quarantined: Collection[str],
    run: RunFolder,
    seed: int,
    resume: bool,
    *,
    folder: Path = Path(),
) -> TrainedModel:
    """Tune the model on the prepared rows but those whose "file:line" is in `quarantined`. Writes train/settings.json,
    metrics.jsonl, checkpoints/, reference.safetensors where the method compares with the model before training,
    teacher.safetensors where it learns from a teacher's distributions, samples.jsonl where the method writes answers,
    adapter/ or model/, and train.json last. `folder` is the recipe's: where a reward's own code and weights are looked
    for.

    With `resume`, goes on from the newest checkpoint of the same run and ends with the weights that an uninterrupted
    run has, bit for bit on the same machine; without, begins anew.

    Raises: TrainError when there is nothing to train on, memory won't do, a tracker's package is missing, a checkpoint
    is another run's, numbers stop being finite, or the disk is full; ModelError when the model can't be loaded;
    DataError when the method can't learn from such rows; KeyboardInterrupt after Ctrl-C, resumable.
    """
    trackers = Trackers(settings.trackers)
    adapter: Adapter = build("adapter", settings.adapter)
    method: Method = build("method", settings.method)
    keep_freed_memory()
    if _writes_with_vllm(settings.method):
        require_vllm(pick_device(model.device))
    loaded = load_model(model, quantise=adapter.quantise)
    context = context_length(loaded)
    encoder = Encoder(loaded.tokenizer, resolve_length(settings, context))
    encoding, heldout = _encode(settings, dataset, quarantined, run, method, encoder)
    resolved = resolve(
        settings,
        rows=len(encoding.rows),
        form=adapter.form,
        context=context,
        device=loaded.device.type,
        products=loaded.products,
        rate_share=method.learning_rate_share,
    )
    key = _key(resolved, loaded, dataset, quarantined, seed, read_beside(settings, folder))
    checkpoints = Checkpoints(run.file("train/checkpoints"), key, resolved.keep_checkpoints)
    if not resume:
        _begin_anew(run, checkpoints)
    run.write_json("train/settings.json", resolved.model_dump(mode="json"))
    engine = _engine(adapter, loaded, method, encoder, resolved, run, seed, model)
    work = _work(engine, method, encoding.rows, heldout, resolved, seed)
    give_back_freed_memory()
    set_files_aside(engine.module)
    with products(loaded.products), weights_stay():
        predicted = _predict_memory(work)
        set_files_aside(engine.module)
        if "reference" in method.roles:
            learn_reference(work)
        if "teacher" in method.roles:
            learn_teacher(work)
        done = _run(work, run, checkpoints, trackers, folder)
        _report_on_scores(work, run)
    say(
        f"memory: up to {predicted.peak / 1e9:.2f} GB were predicted, {peak_memory_bytes(loaded.device) / 1e9:.2f} GB "
        "were used at most"
    )
    return _finish(settings, model, adapter, loaded, run, work, done, encoding.losses)


def context_length(loaded: LoadedModel) -> int | None:
    """The most tokens that the model was made for, or None where its configuration doesn't say."""
    limit: Any = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if isinstance(limit, int) and limit > 1 else None


def _encode(
    settings: TrainSettings,
    dataset: Dataset,
    quarantined: Collection[str],
    run: RunFolder,
    method: Method,
    encoder: Encoder,
) -> tuple[Encoding, Rows]:
    path = run.file(dataset.train_path)
    cache = EncodedCache(cache_folder().parent / "encoded")
    encoding = encode_file(path, dataset.num_train, quarantined, method, encoder, cache)
    check_rows(encoding, encoder)
    tell(encoding, encoder.max_length)
    scores = "score" in method.roles
    wanted = settings.heldout_loss_every or scores or isinstance(method, SamplingMethod)
    if not wanted or not dataset.num_heldout:
        return encoding, Rows()
    count = dataset.num_heldout if scores else min(dataset.num_heldout, settings.heldout_rows)
    heldout: Iterator[Record] = islice(read_records(run.file(dataset.heldout_path)), count)
    return encoding, encode_rows(heldout, count, (), method, encoder, "Encoding held-out rows").rows


def _engine(
    adapter: Adapter,
    loaded: LoadedModel,
    method: Method,
    encoder: Encoder,
    settings: ResolvedTrainSettings,
    run: RunFolder,
    seed: int,
    model: ModelSettings,
) -> Engine:
    """The model with all the seats that the method needs."""
    module = adapter.apply(loaded, seed)
    if "score" in method.roles and adapter.form != "adapter":
        raise TrainError(
            f"train.adapter: {settings.adapter.kind}: a reward model is an adapter, so that it can sit beside a policy "
            "on one copy of the base weights; nothing was trained",
            hint="set train.adapter: lora, or qlora",
        )
    teacher = None
    if isinstance(method, Distill) and "teacher" in method.roles:
        teacher = load_teacher(method, model, loaded, settings.token_budget, run)
    needs_value = "value" in method.roles
    if needs_value:
        adapter.add(module, VALUE, step_seed(seed, 0))
    return Engine(
        module=module,
        device=loaded.device,
        dtype=loaded.dtype,
        tokenizer=loaded.tokenizer,
        token_budget=settings.token_budget,
        max_length=encoder.max_length,
        known=KnownTargets(run.file(REFERENCE), _reference_key(loaded)),
        value_head=value_head(module) if needs_value else None,
        score_head=value_head(module) if "score" in method.roles else None,
        seed=seed,
        base=base_key(loaded),
        teacher=teacher,
        writer=_vllm_writer(settings.method, loaded, encoder),
    )


def _writes_with_vllm(method: object) -> TypeGuard[SamplingSettings]:
    return isinstance(method, SamplingSettings) and method.rollouts == "vllm"


def _vllm_writer(method: object, loaded: LoadedModel, encoder: Encoder) -> VLLMWriter | None:
    if not _writes_with_vllm(method):
        return None
    identity = loaded.identity
    while identity.base is not None:  # only the configuration counts: weights are handed over
        identity = identity.base
    return VLLMWriter(Path(identity.path), loaded.dtype, encoder.max_length, method.vllm_memory)


def _work(
    engine: Engine, method: Method, rows: Rows, heldout: Rows, settings: ResolvedTrainSettings, seed: int
) -> Work:
    weights = trained_weights(engine.module)
    if engine.value_head:
        weights |= {f"value_head.{name}": weight for name, weight in engine.value_head.named_parameters()}
    if engine.score_head:
        weights |= {f"score_head.{name}": weight for name, weight in engine.score_head.named_parameters()}
    for weight in weights.values():
        # Small updates vanish in 16-bit weights, so what is trained is held in 32 bits; products stay in the model's
        # type.
        weight.data = weight.data.to(torch.promote_types(weight.dtype, torch.float32))
    return Work(
        engine=engine,
        weights=weights,
        optimiser=make_optimiser(weights.values(), settings.optimiser),
        method=method,
        rows=rows,
        heldout=heldout,
        order=DataOrder(len(rows), settings.batch_size, settings.num_samples, seed),
        settings=settings,
        seed=seed,
    )


def _predict_memory(work: Work) -> Footprint:
    """Raises: TrainError when the run won't fit."""
    longest = max(work.rows.longest, work.heldout.longest)
    tokens = largest_row(work.settings, longest)
    if isinstance(work.method, Writes):
        longest = work.method.longest(longest)
        tokens = max(longest, work.settings.token_budget)
    if work.engine.value_head:
        tokens *= 2  # a pass through the policy and one through the value
    if work.engine.teacher:
        work.engine.teacher.wake()
    footprint = predict(work.module, work.weights.values(), work.engine.device, work.engine.dtype, tokens, longest)
    check_fits(footprint, work.settings, longest, work.engine.device)
    return footprint


def read_beside(settings: TrainSettings, folder: Path) -> str:
    """A digest of what training reads beside rows and model: code and weights of rewards, a teacher's weights. Empty
    where there are none.

    Raises: TrainError or ModelError when they aren't there.
    """
    method: Method = build("method", settings.method)
    return method.digest(folder) if isinstance(method, ReadsBeside) else ""


def _run(work: Work, run: RunFolder, checkpoints: Checkpoints, trackers: Trackers, folder: Path) -> Progress:
    start = checkpoints.restore(work.weights, work.optimiser)
    if start.step:
        say(f"resuming after step {start.step:,} of {work.settings.max_steps:,}")
    trackers.start(run.name, run.file("train/settings.json").parent, work.settings.model_dump(mode="json"))
    try:
        with metrics_log(run.file(METRICS), start.step) as log, _at_work(work, run, folder, start.step):
            return run_steps(work, start, checkpoints, log, trackers)
    finally:
        trackers.finish()


def _at_work(work: Work, run: RunFolder, folder: Path, steps_done: int) -> AbstractContextManager[None]:
    if not isinstance(work.method, SamplingMethod):
        return nullcontext()
    heldout = [work.heldout[row] for row in range(len(work.heldout))]
    return work.method.at_work(work.engine, heldout, folder, run, steps_done)


def _finish(
    settings: TrainSettings,
    model: ModelSettings,
    adapter: Adapter,
    loaded: LoadedModel,
    run: RunFolder,
    work: Work,
    done: Progress,
    losses: Losses,
) -> TrainedModel:
    """Save the weights, and then what they are."""
    path = _save(adapter, work.engine, loaded, run)
    teacher = teacher_identity(settings.method, model)
    result = TrainedModel(
        method=settings.method.kind,
        adapter=settings.adapter.kind,
        base=loaded.identity,
        path=path.relative_to(run.path).as_posix(),
        form=adapter.form,
        digest=identify(model.made_into(path)).digest,
        steps=done.step,
        epochs=work.order.epoch(done.step),
        tokens_trained=done.tokens_trained,
        tokens_seen=done.tokens_seen,
        seconds=done.seconds,
        first_loss=done.first_loss,
        last_loss=done.last_loss,
        losses=losses,
        ended=done.ended,
        writes=work.engine.score_head is None,
        teacher=teacher,
        shares_initialisation=share_initialisation(loaded.identity, teacher) if teacher else None,
        cut_from=cut.of if (cut := layers_of(Path(loaded.identity.path))) else None,
    )
    run.save("train/train.json", result)
    return result


def _begin_anew(run: RunFolder, checkpoints: Checkpoints) -> None:
    checkpoints.clear()
    for file in (METRICS, REFERENCE, TEACHER, SAMPLES, REWARD_MODEL, "train/train.json"):
        run.file(file).unlink(missing_ok=True)
    for folder in ("train/adapter", "train/model"):
        shutil.rmtree(run.file(folder), ignore_errors=True)


def _key(
    settings: ResolvedTrainSettings,
    loaded: LoadedModel,
    dataset: Dataset,
    quarantined: Collection[str],
    seed: int,
    beside: str,
) -> str:
    """A digest of all that the trained weights follow from."""
    return content_digest(
        settings.model_dump(mode="json", exclude=_NO_PART_IN_THE_RESULT),
        loaded.identity.digest,
        loaded.form.model_dump(mode="json"),
        str(loaded.dtype),
        loaded.products,
        loaded.device.type,
        dataset.digest,
        sorted(quarantined),
        seed,
        *([beside] if beside else []),
    )


def _reference_key(loaded: LoadedModel) -> str:
    """A digest of all that the reference's log-probabilities follow from, beside the groups themselves."""
    form = loaded.form.model_dump(mode="json")
    return content_digest(loaded.identity.digest, form, str(loaded.dtype), loaded.products, loaded.device.type)


def _report_on_scores(work: Work, run: RunFolder) -> None:
    """Where a reward model was trained: what it is worth on the held-out pairs."""
    head = work.engine.score_head
    if head is None:
        return
    pairs = [work.heldout[row] for row in range(len(work.heldout))]
    if not pairs:
        warn("there are no held-out pairs, so the reward model's accuracy isn't known")
        return
    scores_C = work.engine.scores(pairs, lambda module, packed: completion_scores(module, head, packed))
    trained = (work.rows[row].completions for row in range(len(work.rows)))
    longer = longer_is_chosen((len(chosen.tokens), len(rejected.tokens)) for chosen, rejected in trained)
    report = reward_report(pairs, scores_C, longer)
    run.save(REWARD_MODEL, report)
    low, high = report.accuracy.interval or (0.0, 1.0)
    say(
        f"held-out pairs: {report.accuracy.hits} of {report.pairs} right, {report.accuracy.hits / report.pairs:.1%} "
        f"({low:.1%} to {high:.1%}); length alone is right of {report.by_length.hits} of the {report.by_length.n} "
        "whose replies differ in it"
    )


def _save(adapter: Adapter, engine: Engine, loaded: LoadedModel, run: RunFolder) -> Path:
    """Write the trained weights whole, or not at all; a whole model is written in the type that it was loaded in."""
    module = engine.module
    target = run.file(f"train/{adapter.form}")
    partial = run.file(f"train/.{adapter.form}.part")
    shutil.rmtree(partial, ignore_errors=True)
    if adapter.form == "model":
        module.to(loaded.dtype)
    try:
        adapter.save(module, loaded, partial)
        if engine.score_head:
            save_head(engine.score_head, partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainError(
            f"{target}: the trained weights can't be written ({error}); the last checkpoint is intact",
            hint="free some space and run the same command with --resume",
        ) from error
    return target
