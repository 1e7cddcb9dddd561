"""Added tokens and trained embeddings: the same logits after every step from training to plain libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from burnish.errors import ModelError
from burnish.models.adapters.full import Full, FullSettings
from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.adapters.qlora import QLoRA, QLoRASettings
from burnish.models.base_form import FILE
from burnish.models.groups import Completion, PromptGroup
from burnish.models.load import LoadedModel, identify, load_model, load_tokenizer
from burnish.models.logprobs import packs, token_logprobs
from burnish.models.merge import merge_to_folder
from burnish.models.packing import lay_out
from burnish.models.seats import seated
from burnish.models.settings import ModelSettings
from burnish.train.optimiser import make_optimiser, trained_weights
from burnish.train.resume import Checkpoints, Progress
from burnish.train.settings import OptimiserSettings

TOKENS = ("<tool>", "<done>")


@pytest.fixture(params=["tied", "untied"])
def base(request: pytest.FixtureRequest, tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The tiny model, or one like it whose output head is a table of its own."""
    if request.param == "tied":
        return tiny_model_folder
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    torch.manual_seed(4)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = nn.Parameter(torch.randn_like(model.lm_head.weight) * 0.05)
    AutoTokenizer.from_pretrained(tiny_model_folder).save_pretrained(tmp_path / "untied")
    model.save_pretrained(tmp_path / "untied")
    return tmp_path / "untied"


def settings_for(folder: Path) -> ModelSettings:
    return ModelSettings(name=str(folder), device="cpu", add_tokens=TOKENS)


def row_with(tokenizer: Any) -> torch.Tensor:
    ids = tokenizer("the <tool> cat<done> a dog <tool>", add_special_tokens=False)["input_ids"]
    assert ids.count(tokenizer.convert_tokens_to_ids("<tool>")) == 2
    return torch.tensor([ids])


def logits(model: Any, row: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=row).logits.float()
    return found


def train_a_little(module: nn.Module, loaded: LoadedModel, row: torch.Tensor) -> torch.optim.Optimizer:
    """Three steps of the engine's own on the row."""
    weights = trained_weights(module)
    optimiser = make_optimiser(weights.values(), OptimiserSettings())
    optimiser.param_groups[0]["lr"] = 0.05
    tokens = tuple(row[0].tolist())
    group = PromptGroup(tokens[:1], (Completion(tokens[1:], (1.0,) * (len(tokens) - 1)),))
    for _ in range(3):
        optimiser.zero_grad()
        (-token_logprobs(module, lay_out([group])).logprobs_T.sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return optimiser


def adapter_of(kind: str, vocabulary: Any) -> LoRA | QLoRA:
    if kind == "lora":
        return LoRA(LoRASettings(rank=4, vocabulary=vocabulary))
    return QLoRA(QLoRASettings(rank=4, vocabulary=vocabulary))


def test_added_tokens_begin_as_the_mean_of_their_pieces_and_change_no_other(base: Path) -> None:
    plain = load_model(ModelSettings(name=str(base), device="cpu"))
    loaded = load_model(settings_for(base))
    old = len(plain.tokenizer)
    assert len(loaded.tokenizer) == loaded.model.config.vocab_size == old + 2
    pieces = plain.tokenizer("<tool>", add_special_tokens=False)["input_ids"]
    assert len(pieces) > 1
    token = loaded.tokenizer.convert_tokens_to_ids("<tool>")
    for find in ("get_input_embeddings", "get_output_embeddings"):
        rows, before = getattr(loaded.model, find)().weight, getattr(plain.model, find)().weight
        torch.testing.assert_close(rows[token], before[pieces].mean(0))
        assert rows[:old].equal(before)
    row = torch.tensor([[5, 40, 41, 300]])
    assert logits(loaded.model, row)[..., :old].equal(logits(plain.model, row))
    assert loaded.tokenizer.decode([token], skip_special_tokens=True) == "<tool>"


def test_a_token_that_is_there_already_is_left_as_it_is(tiny_model_folder: Path) -> None:
    settings = ModelSettings(name=str(tiny_model_folder), device="cpu", add_tokens=("<|im_start|>",))
    plain, loaded = load_model(settings.model_copy(update={"add_tokens": ()})), load_model(settings)
    assert len(loaded.tokenizer) == len(plain.tokenizer)
    assert loaded.model.get_input_embeddings().weight.equal(plain.model.get_input_embeddings().weight)


def test_added_tokens_make_another_model(tiny_model_folder: Path) -> None:
    plain = ModelSettings(name=str(tiny_model_folder))
    digests = {identify(plain.model_copy(update={"add_tokens": added})).digest for added in ((), ("<a>",), ("<b>",))}
    assert len(digests) == 3


@pytest.mark.parametrize("vocabulary", ["added", "all"])
@pytest.mark.parametrize("kind", ["lora", "qlora"])
def test_the_logits_survive_every_step(kind: str, vocabulary: str, base: Path, tmp_path: Path) -> None:
    settings, adapter = settings_for(base), adapter_of(kind, vocabulary)
    loaded = load_model(settings, quantise=adapter.quantise)
    row = row_with(loaded.tokenizer)
    start = logits(loaded.model, row)
    module = adapter.apply(loaded, seed=1)
    torch.testing.assert_close(logits(module, row), start)
    assert packs(module)
    optimiser = train_a_little(module, loaded, row)
    tuned = logits(module, row)
    assert float((tuned - start).abs().max()) > 0.5

    adapter.save(module, loaded, tmp_path / "adapter")
    made = load_model(settings.made_into(tmp_path / "adapter"))
    torch.testing.assert_close(logits(made.model, row), tuned, rtol=1e-4, atol=1e-4)
    assert len(made.tokenizer) == len(loaded.tokenizer)
    assert made.identity.base == identify(settings)
    assert load_tokenizer(settings.made_into(tmp_path / "adapter")).convert_tokens_to_ids("<done>") > 0

    checkpoints = Checkpoints(tmp_path / "checkpoints", "key", 1)
    checkpoints.save(Progress(step=3), trained_weights(module), optimiser)
    again = adapter_of(kind, vocabulary)
    fresh = load_model(settings, quantise=again.quantise)
    resumed = again.apply(fresh, seed=1)
    weights = trained_weights(resumed)
    checkpoints.restore(weights, make_optimiser(weights.values(), OptimiserSettings()))
    assert logits(resumed, row).equal(tuned)

    merge_to_folder(settings, tmp_path / "adapter", tmp_path / "merged", expected=identify(settings))
    merged: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logits(merged, row), tuned, rtol=1e-4, atol=1e-4)
    tied = merged.get_input_embeddings().weight is merged.get_output_embeddings().weight
    assert tied == merged.config.tie_word_embeddings == ("untied" not in base.name)
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "merged").convert_tokens_to_ids("<done>") == len(loaded.tokenizer) - 1
    )

    if kind == "lora":
        plain: Any = AutoModelForCausalLM.from_pretrained(base)
        plain.resize_token_embeddings(len(AutoTokenizer.from_pretrained(tmp_path / "adapter")), mean_resizing=False)
        torch.testing.assert_close(logits(PeftModel.from_pretrained(plain, str(tmp_path / "adapter")), row), tuned)


@pytest.mark.parametrize("vocabulary", ["added", "all"])
def test_gradients_of_the_vocabulary_are_the_librarys_own(vocabulary: str, base: Path) -> None:
    loaded = load_model(settings_for(base))
    module: Any = adapter_of("lora", vocabulary).apply(loaded, seed=1)
    row = row_with(loaded.tokenizer)
    for weight in trained_weights(module).values():
        nn.init.normal_(weight, 0, 0.1)

    def gradients(total: torch.Tensor) -> dict[str, torch.Tensor]:
        module.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        return {name: weight.grad.clone() for name, weight in trained_weights(module).items()}  # type: ignore[union-attr]

    expected = gradients(module(input_ids=row, labels=row).loss)
    tokens = tuple(row[0].tolist())
    group = PromptGroup(tokens[:1], (Completion(tokens[1:], (1.0,) * (len(tokens) - 1)),))
    got = gradients(-token_logprobs(module, lay_out([group])).logprobs_T.mean())
    names = [name for name in got if "lora_" not in name]
    assert len(names) == (1 if "untied" not in str(loaded.identity.path) else 2)
    for name in names:
        rows = 2 if vocabulary == "added" else len(loaded.tokenizer)
        assert got[name].shape == (rows, 64)
    for name, gradient in expected.items():
        assert (got[name] - gradient).norm() / gradient.norm() < 1e-5, name


@pytest.mark.parametrize("vocabulary", ["added", "all"])
def test_with_the_adapter_off_the_vocabulary_is_the_bases(vocabulary: str, base: Path) -> None:
    loaded = load_model(settings_for(base))
    row = row_with(loaded.tokenizer)
    tokens = tuple(row[0].tolist())
    packed = lay_out([PromptGroup(tokens[:2], (Completion(tokens[2:], (1.0,) * (len(tokens) - 2)),))])
    with torch.no_grad():
        before = token_logprobs(loaded.model, packed).logprobs_T
    module: Any = adapter_of("lora", vocabulary).apply(loaded, seed=1)
    train_a_little(module, loaded, row)
    with torch.no_grad():
        assert not torch.allclose(token_logprobs(module, packed).logprobs_T, before, atol=0.1)
        with module.disable_adapter():
            torch.testing.assert_close(token_logprobs(module, packed).logprobs_T, before)


@pytest.mark.parametrize("vocabulary", ["added", "all"])
def test_a_second_adapter_beside_it_reads_the_bases_vocabulary(vocabulary: str, tiny_model_folder: Path) -> None:
    loaded = load_model(settings_for(tiny_model_folder))
    row = row_with(loaded.tokenizer)
    base = logits(loaded.model, row)
    adapter = adapter_of("lora", vocabulary)
    module: Any = adapter.apply(loaded, seed=1)
    train_a_little(module, loaded, row)
    tuned = logits(module, row)
    adapter.add(module, "value", seed=2)
    with seated(module, "value"):
        torch.testing.assert_close(logits(module, row), base)
    assert logits(module, row).equal(tuned)


def test_an_ordinary_adapter_brings_no_further_file(tiny_model_folder: Path, tmp_path: Path) -> None:
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    adapter = adapter_of("lora", "added")
    adapter.save(adapter.apply(loaded, seed=1), loaded, tmp_path / "plain")
    assert not (tmp_path / "plain" / FILE).exists()
    loaded = load_model(settings_for(tiny_model_folder))
    adapter.save(adapter.apply(loaded, seed=1), loaded, tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / FILE).read_text()) == {"quantised": None, "add_tokens": list(TOKENS)}
    (tmp_path / "adapter" / FILE).write_text('{"quantised": "nf5"}')
    with pytest.raises(ModelError, match="nf5"):
        load_model(ModelSettings(name=str(tmp_path / "adapter"), device="cpu"))


def test_full_training_saves_the_larger_vocabulary(tiny_model_folder: Path, tmp_path: Path) -> None:
    settings = settings_for(tiny_model_folder)
    loaded = load_model(settings)
    row = row_with(loaded.tokenizer)
    adapter = Full(FullSettings())
    module = adapter.apply(loaded, seed=1)
    adapter.save(module, loaded, tmp_path / "model")
    made = load_model(settings.made_into(tmp_path / "model"))
    assert logits(made.model, row).equal(logits(module, row))
    assert (
        identify(settings.made_into(tmp_path / "model")).digest
        == identify(ModelSettings(name=str(tmp_path / "model"))).digest
    )


def test_a_table_that_would_come_apart_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    tokenizer.save_pretrained(tmp_path / "gpt2")
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "bos_token_id": 1, "eos_token_id": 2}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **shape)).save_pretrained(tmp_path / "gpt2")
    loaded = load_model(ModelSettings(name=str(tmp_path / "gpt2"), device="cpu"))
    with pytest.raises(ModelError, match="train apart"):
        adapter_of("lora", "all").apply(loaded, seed=1)


@pytest.mark.parametrize("tokens", [("",), (" \t",), ("a\nb",), ("<a>", "<a>"), ("x" * 101,)])
def test_tokens_that_cannot_be_are_refused(tokens: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"twice|printable"):
        ModelSettings(add_tokens=tokens)
