"""A model with some of its layers has exactly those, and is a model's folder like any other."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

from burnish.errors import ModelError
from burnish.models.fewer_layers import FILE, evenly_kept, layers_of
from burnish.models.generate import GenerationSettings, generate
from burnish.models.load import identify, load_model, load_tokenizer
from burnish.models.settings import ModelSettings

SHAPE = {
    "vocab_size": 384, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    """A model of seven layers with the tiny model's tokeniser."""
    return write(
        tmp_path_factory.mktemp("deep"), LlamaForCausalLM(LlamaConfig(num_hidden_layers=7, **SHAPE)), tiny_model_folder
    )


def write(folder: Path, model: LlamaForCausalLM | Gemma2ForCausalLM, tokeniser: Path) -> Path:
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((tokeniser / name).read_bytes())
    return folder


@pytest.mark.parametrize(
    ("count", "total", "kept"),
    [(2, 7, (0, 6)), (3, 7, (0, 3, 6)), (4, 7, (0, 2, 4, 6)), (7, 7, tuple(range(7))), (2, 2, (0, 1))],
)
def test_layers_are_spaced_evenly(count: int, total: int, kept: tuple[int, ...]) -> None:
    assert evenly_kept(count, total) == kept


@pytest.mark.parametrize("total", range(2, 41))
def test_first_and_last_are_kept_and_none_twice(total: int) -> None:
    for count in range(2, total + 1):
        kept = evenly_kept(count, total)
        assert (kept[0], kept[-1], len(set(kept))) == (0, total - 1, count)
        gaps = {b - a for a, b in pairwise(kept)}
        assert max(gaps) - min(gaps) <= 1


def test_what_is_kept_equals_the_whole_models(deep: Path, tmp_path: Path) -> None:
    settings = ModelSettings(name=str(deep), layers=3)
    small = load_model(settings, cache=tmp_path).model
    whole = AutoModelForCausalLM.from_pretrained(deep)
    expected = {name: weight for name, weight in whole.state_dict().items() if ".layers." not in name}
    for new, old in enumerate((0, 3, 6)):
        for name, weight in whole.model.layers[old].state_dict().items():
            expected[f"model.layers.{new}.{name}"] = weight
    got = small.state_dict()
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], weight) for name, weight in expected.items())
    assert small.config.num_hidden_layers == 3
    whole.model.layers = torch.nn.ModuleList(whole.model.layers[index] for index in (0, 3, 6))
    tokens = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(whole.eval()(tokens, use_cache=False).logits, small(tokens, use_cache=False).logits)


def test_it_writes_and_has_an_identity_of_its_own(deep: Path, tmp_path: Path) -> None:
    settings = ModelSettings(name=str(deep), layers=4)
    identity = identify(settings, cache=tmp_path)
    folder = Path(identity.path)
    assert folder.parent == tmp_path
    assert identity == identify(settings, cache=tmp_path)
    assert identity == identify(ModelSettings(name=str(folder)))
    whole = identify(settings.whole())
    assert identity.digest not in (
        whole.digest,
        identify(settings.model_copy(update={"layers": 3}), cache=tmp_path).digest,
    )
    kept = layers_of(folder)
    assert kept is not None
    assert (kept.of, kept.kept) == (whole, (0, 2, 4, 6))
    loaded = load_model(settings, cache=tmp_path)
    (reply,) = generate(loaded.model, loaded.tokenizer, [(5, 6)], GenerationSettings(max_new_tokens=4))
    assert reply.tokens
    assert load_tokenizer(settings, cache=tmp_path).get_vocab() == loaded.tokenizer.get_vocab()


def test_kinds_of_layers_go_with_their_layers(tmp_path: Path, tiny_model_folder: Path) -> None:
    kinds = ["sliding_attention", "full_attention", "full_attention", "sliding_attention", "full_attention"]
    config = Gemma2Config(num_hidden_layers=5, layer_types=kinds, sliding_window=8, **SHAPE)
    folder = write(tmp_path / "gemma", Gemma2ForCausalLM(config), tiny_model_folder)
    small = load_model(ModelSettings(name=str(folder), layers=3), cache=tmp_path / "cache").model
    assert small.config.layer_types == [kinds[0], kinds[2], kinds[4]]


def test_tokens_are_added_to_the_small_model(deep: Path, tmp_path: Path) -> None:
    settings = ModelSettings(name=str(deep), layers=2, add_tokens=("<tool>",))
    loaded = load_model(settings, cache=tmp_path)
    assert "<tool>" in loaded.tokenizer.get_vocab()
    plain = identify(settings.model_copy(update={"add_tokens": ()}), cache=tmp_path)
    assert (loaded.identity.path, loaded.identity.digest != plain.digest) == (plain.path, True)


def test_more_layers_than_there_are_is_refused_and_leaves_nothing(deep: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model.layers: got 8, expected at most 7"):
        identify(ModelSettings(name=str(deep), layers=8), cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_note_that_was_damaged_is_an_error(tmp_path: Path) -> None:
    assert layers_of(tmp_path) is None
    (tmp_path / FILE).write_text(json.dumps({"kept": "all"}))
    with pytest.raises(ModelError, match="doesn't say which layers were kept"):
        layers_of(tmp_path)
