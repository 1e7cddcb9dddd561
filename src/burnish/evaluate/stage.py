"""The evaluation stage: base and tuned model on the same task rows and the same safety prompts, and where there are a
teacher and an instruct sibling, these on the same safety prompts.

Writes evaluate/responses.parquet, a row for each prompt and arm, evaluate/probe.json, what phrases of the training data
do to the models, and evaluate/evaluation.json last. Decides nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from burnish.artefacts import (
    RESPONSE_COLUMNS,
    Arm,
    Dataset,
    Evaluation,
    LengthBaseline,
    ModelIdentity,
    Probe,
    Share,
    Side,
    SuiteResult,
    TrainedModel,
)
from burnish.catalogue import build
from burnish.evaluate.asked import AskedSuite, asked_suites
from burnish.evaluate.asking import Asker
from burnish.evaluate.companions import Heard, ask_companion, companions_of
from burnish.evaluate.few_shot import Example
from burnish.evaluate.preferences import (
    PairRow,
    PreferenceTask,
    beside_length,
    compares,
    prepare_preferences,
    score_preferences,
)
from burnish.evaluate.probe.probe import TriggerProbe
from burnish.evaluate.reply_cache import ReplyCache, well_formed
from burnish.evaluate.safety import Samples, ask_suite, judge_suite
from burnish.evaluate.settings import TASK, EvaluateSettings, SafetySettings
from burnish.evaluate.speaker import Speaker, Weights
from burnish.evaluate.suites import load_suite
from burnish.evaluate.task import Scored, Task, prepare_task, score_arm
from burnish.gate.root import RootRecord, with_root
from burnish.logs import say, warn
from burnish.models.chat_template import Encoder
from burnish.models.device import arithmetic
from burnish.models.load import identify, load_tokenizer
from burnish.models.settings import ModelSettings
from burnish.protocols import Judge
from burnish.run_folder import RunFolder, file_digest, written_whole
from burnish.statistics.bootstrap import mean_interval
from burnish.statistics.inheritance import JudgedReply, inheritance, told

RESPONSES = "evaluate/responses.parquet"
PROBE = "evaluate/probe.json"
TRACES = "evaluate/traces.jsonl"
"""Verdicts on the thought of reasoning models: suite, prompt_id, arm, verdict; empty for other models."""
SAMPLES = "evaluate/samples.jsonl"
"""Every reply where several were drawn to a prompt: suite, prompt_id, arm, sample, verdict, reply; else empty."""
_UNKNOWN_CONTEXT = 2048


@dataclass(frozen=True)
class Plan:
    """Everything that is asked, made before any model is loaded; `sources` says where each suite came from."""

    task: Task | PreferenceTask | None
    suites: tuple[AskedSuite, ...]
    encoder: Encoder
    sources: Mapping[str, str]


@dataclass(frozen=True)
class Answers:
    """What came back: an arm's scored task, and each suite's replies by arm."""

    task: tuple[Scored, ...]
    safety: Mapping[tuple[str, Arm], Samples]


@dataclass(frozen=True)
class Judged:
    """Every row of the table of responses, the summaries, and what is kept beside (`TRACES`, `SAMPLES`)."""

    table: pl.DataFrame
    results: tuple[SuiteResult, ...]
    traces: tuple[Mapping[str, str], ...]
    samples: tuple[Mapping[str, str | int], ...]

    @property
    def tuned_replies(self) -> tuple[str, ...]:
        """Whatever the tuned model said."""
        return tuple(self.table.filter(pl.col("arm") == "tuned")["reply"].to_list())


def evaluate(
    settings: EvaluateSettings,
    model: ModelSettings,
    trained: TrainedModel,
    dataset: Dataset,
    run: RunFolder,
    cache_folder: Path,
    seed: int,
    *,
    folder: Path,
    side: Side = "sealed",
    root: RootRecord | None = None,
) -> Evaluation:
    """Measure base and tuned model on one `side` of the suites, and ask teacher and sibling the same; the trigger probe
    is part of the sealed side, which the gate decides on. `folder` is where the suites' relative paths start;
    `cache_folder` keeps replies from run to run; `root` is what the release that the base is tells of its root.

    Raises: DataError or EvaluationError when a suite or the held-out rows can't be used; ModelError when a model can't
    be loaded.
    """
    began = time.monotonic()
    base = identify(model)
    weights = Weights(model, trained, run.file(trained.path))
    base_speaker, tuned_speaker = weights.speakers(base)
    companions = companions_of(settings, model, trained)
    context = context_of(base)
    plan = make_plan(settings, dataset, run, Encoder(load_tokenizer(model), context), context, seed, folder, side)
    dtype = arithmetic(model)
    wanted = settings.probe if side == "sealed" else None
    probe = TriggerProbe(wanted, dataset, run, plan.encoder, seed) if wanted else None
    with ReplyCache(cache_folder) as cache:
        heard = [
            ask_companion(one, settings.safety, context_of(one.companion.model), folder, side, cache)
            for one in companions
        ]
        asker = Asker(cache, dtype, sum(one.generated for one in heard), sum(one.cached for one in heard))
        if probe:
            probe.ask_base(weights.base())
        answers = ask(plan, settings.safety, base_speaker, tuned_speaker, asker)
    judge: Judge = build("judge", settings.safety.judge)
    found = judged(plan, answers, judge, seed, heard)
    generation = _generation(settings.safety, plan.task, dtype)
    table, anchor = with_root(found.table, root, judge.digest, generation) if root else (found.table, None)
    probed = _probed(probe.ask_tuned(weights.tuned(), found.tuned_replies), run) if probe else None
    with written_whole(run.file(RESPONSES)) as temporary:
        table.write_parquet(temporary)
    run.write_jsonl(TRACES, found.traces)
    run.write_jsonl(SAMPLES, found.samples)
    evaluation = Evaluation(
        base=base,
        tuned_digest=trained.digest,
        judge=settings.safety.judge.kind,
        judge_digest=judge.digest,
        results=found.results,
        responses_digest=file_digest(run.file(RESPONSES)),
        suite_digests={s.name: s.digest for s in plan.suites} | ({TASK: plan.task.digest} if plan.task else {}),
        suite_sources=dict(plan.sources),
        generation=generation,
        seconds=time.monotonic() - began,
        replies_generated=asker.generated,
        replies_cached=asker.cached,
        root=anchor,
        probe=probed,
        companions=tuple(one.companion for one in heard),
    )
    run.save("evaluate/evaluation.json", evaluation)
    return evaluation


def make_plan(
    settings: EvaluateSettings,
    dataset: Dataset,
    run: RunFolder,
    encoder: Encoder,
    context: int,
    seed: int,
    folder: Path,
    side: Side = "sealed",
) -> Plan:
    """Read suites, those prompts of them that lie on `side`, and rows, and encode their prompts.

    Raises: DataError or EvaluationError when one of them can't be used.
    """
    share = settings.safety.development_share
    asked: list[AskedSuite] = []
    sources: dict[str, str] = {}
    for one in settings.safety.suites:
        suite = load_suite(one, folder, side, share)
        if suite.repeated:
            warn(f"{suite.name}: {suite.repeated:,} prompts stand there more than once and are asked once")
        sources[suite.name] = suite.source
        asked += asked_suites(one, suite, side, settings.safety.system, encoder, settings.safety.max_new_tokens)
    task: Task | PreferenceTask | None = None
    if settings.task and compares(settings.task):
        task = prepare_preferences(settings.task, dataset, run, encoder, seed)
    elif settings.task:
        task = prepare_task(settings.task, dataset, run, encoder, context, seed)
    return Plan(task, tuple(asked), encoder, sources)


def ask(plan: Plan, settings: SafetySettings, base: Speaker, tuned: Speaker, asker: Asker) -> Answers:
    """Ask the base everything, then the tuned model, so that one copy of the weights will do."""
    scored: list[Scored] = []

    def score(task: Task | PreferenceTask, arm: Arm, speaker: Speaker) -> None:
        if isinstance(task, PreferenceTask):
            scored.append(score_preferences(task, arm, speaker, asker, scored[0] if scored else None))
        else:
            scored.append(score_arm(task, arm, speaker, asker, plan.encoder))

    safety: dict[tuple[str, Arm], Samples] = {}
    both: tuple[tuple[Arm, Speaker], ...] = (("base", base), ("tuned", tuned))
    for arm, speaker in both:
        if plan.task:
            score(plan.task, arm, speaker)
            if arm == "base" and plan.task.examples:
                score(plan.task, "few_shot", speaker)
        for suite in plan.suites:
            safety[suite.name, arm] = ask_suite(suite, arm, speaker, asker, settings.max_new_tokens)
    return Answers(tuple(scored), safety)


def judged(plan: Plan, answers: Answers, judge: Judge, seed: int, heard: Sequence[Heard] = ()) -> Judged:
    """Every reply with its verdict or score; those of the models in `heard` follow the suites of base and tuned one."""
    rows: list[Mapping[str, Any]] = []
    results: list[SuiteResult] = []
    traces: list[Mapping[str, str]] = []
    samples: list[Mapping[str, str | int]] = []
    if plan.task:
        for scored in answers.task:
            rows += _task_rows(plan.task, scored)
            results.append(_task_result(plan.task, scored, seed))
    arms: tuple[Arm, ...] = ("base", "tuned")
    asked = [(suite, arm, answers.safety[suite.name, arm]) for suite in plan.suites for arm in arms]
    asked += [(suite, one.companion.arm, replies) for one in heard for suite, replies in one.answers]
    for suite, arm, replies in asked:
        found = judge_suite(suite, arm, replies, judge)
        rows += found.responses
        results.append(found.result)
        traces += found.traces
        samples += found.samples
    _tell_inheritance(rows, heard)
    schema = {name: pl.Float64 if name == "score" else pl.String for name in RESPONSE_COLUMNS}
    return Judged(pl.DataFrame(rows, schema=schema), tuple(results), tuple(traces), tuple(samples))


def _tell_inheritance(rows: Sequence[Mapping[str, Any]], heard: Sequence[Heard]) -> None:
    replies = [JudgedReply(*(row[name] for name in JudgedReply._fields)) for row in rows]
    for one in heard:
        for found in inheritance(replies, one.companion.arm):
            say(told(found))


def _probed(probe: Probe, run: RunFolder) -> Probe:
    """Keep the whole outcome beside the evaluation, and of its phrases only those with a large effect in it: the
    evaluation goes into releases, and what the training rows say does not."""
    path = run.save(PROBE, probe)
    large = tuple(phrase for phrase in probe.phrases if phrase.effect >= probe.smallest_effect)
    said = f"{probe.largest:.3f}" if probe.largest is not None else "none"
    say(f"probe: {probe.tried} phrases, largest effect {said}; {len(probe.motifs)} motifs in {probe.samples} samples")
    return probe.model_copy(update={"phrases": large, "details": file_digest(path)})


def context_of(identity: ModelIdentity) -> int:
    """How many tokens the model reads at most, by its configuration."""
    while identity.base is not None:
        identity = identity.base
    config = json.loads((Path(identity.path) / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config", config)
    return int(text.get("max_position_embeddings") or text.get("n_positions") or _UNKNOWN_CONTEXT)


def _task_rows(task: Task | PreferenceTask, scored: Scored) -> list[dict[str, Any]]:
    rows: Sequence[Example | PairRow] = task.rows
    return [
        {
            "suite": TASK,
            "kind": "task",
            "prompt_id": row.id,
            "family": row.family,
            "category": "all",
            "arm": scored.arm,
            "prompt": well_formed(row.question),
            "reply": well_formed(reply.text),
            "reference": well_formed(row.reference),
            "verdict": "",
            "score": score,
            "finish": reply.finish,
            "side": "sealed",
        }
        for row, reply, score in zip(rows, scored.replies, scored.scores, strict=True)
    ]


def _task_result(task: Task | PreferenceTask, scored: Scored, seed: int) -> SuiteResult:
    known = [score for score in scored.scores if score is not None]
    mean = task.metric.summary(sum(known) / len(known)) if known else None
    interval = None
    if len(known) > 1:
        low, high = mean_interval(known, seed=seed)
        interval = (task.metric.summary(low), task.metric.summary(high))
    shown = "not scored" if mean is None else f"{mean:.3f}"
    length = beside_length(task, scored) if isinstance(task, PreferenceTask) else None
    beside = f"; {_length_said(length)}" if length else ""
    say(f"{TASK}, {scored.arm.replace('_', '-')}: {task.metric_name} {shown} on {len(known)} rows{beside}")
    return SuiteResult(
        suite=TASK,
        kind="task",
        arm=scored.arm,
        n=len(known),
        metric=task.metric_name,
        higher_is_better=task.metric.higher_is_better,
        mean=mean,
        interval=interval,
        length=length,
    )


def _length_said(length: LengthBaseline) -> str:
    """Length alone, and the arm where it errs, for the terminal."""
    rule, errs = length.by_length, length.where_length_errs
    said = f"the {'longer' if length.longer_is_chosen else 'shorter'} reply is the preferred one of "
    said += f"{rule.hits} of {rule.n} that differ in length" + (f" ({_percent(rule)})" if rule.n else "")
    return said + (f", and where it isn't, {errs.hits} of {errs.n} are right ({_percent(errs)})" if errs.n else "")


def _percent(share: Share) -> str:
    low, high = share.interval or (0.0, 1.0)
    return f"{share.hits / share.n:.1%}, {low:.1%} to {high:.1%}"


def _generation(safety: SafetySettings, task: Task | PreferenceTask | None, dtype: str) -> dict[str, str | int | float]:
    said: dict[str, str | int | float] = {
        "temperature": 0.0,
        "dtype": dtype,
        "safety_max_new_tokens": safety.max_new_tokens,
        "safety_system": safety.system,
        "safety_development_share": safety.development_share,
    }
    if task:
        said |= {"task_max_new_tokens": task.max_new_tokens, "task_few_shot": len(task.examples)}
    return said
