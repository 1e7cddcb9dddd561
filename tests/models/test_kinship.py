"""Whether two models began alike is told from what is noted, else from their weights, else not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from burnish.artefacts import ModelIdentity
from burnish.models.fewer_layers import FILE
from burnish.models.kinship import share_initialisation
from burnish.models.load import identify
from burnish.models.settings import ModelSettings


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., ModelIdentity]:
    """A function that writes a small model of a seed, moved on from it by noise, and says what it is."""

    def make(name: str, seed: int, noise: float = 0.0, hidden: int = 32) -> ModelIdentity:
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=64, hidden_size=hidden, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2
        )
        model = LlamaForCausalLM(config)
        torch.manual_seed(99)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(noise * weight.std() * torch.randn_like(weight))
        model.save_pretrained(tmp_path / name)
        return identify(ModelSettings(name=str(tmp_path / name)))

    return make


def test_weights_tell_where_nothing_is_noted(made: Callable[..., ModelIdentity]) -> None:
    one = made("one", 1)
    assert share_initialisation(one, made("trained", 1, noise=0.5)) is True
    assert share_initialisation(one, made("other", 2)) is False
    assert share_initialisation(one, made("far", 1, noise=4.0)) is None
    assert share_initialisation(one, made("wider", 1, hidden=64)) is None


def test_bases_and_kept_layers_are_followed(made: Callable[..., ModelIdentity]) -> None:
    one, other = made("one", 1), made("other", 2)
    adapters = [ModelIdentity(name=n, path=other.path, digest=n * 64, base=one) for n in "ab"]
    assert share_initialisation(adapters[0], adapters[1]) is True
    assert share_initialisation(adapters[0], one) is True
    note = f'{{"of": {one.model_dump_json()}, "kept": [0, 1]}}'
    (Path(other.path) / FILE).write_text(note)
    assert share_initialisation(other, one) is True


def test_a_model_behind_a_server_is_not_known(made: Callable[..., ModelIdentity]) -> None:
    assert share_initialisation(made("one", 1), ModelIdentity(name="far away", path="", digest="c" * 64)) is None
