"""What holds for every method: how a step is split changes nothing, and packed equals one completion at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from burnish.catalogue import CATALOGUE, build, settings_of
from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.chat_template import Encoder
from burnish.models.groups import PromptGroup
from burnish.models.load import load_model
from burnish.models.logprobs import ScoredGroups, token_logprobs
from burnish.models.packing import Packed
from burnish.models.settings import ModelSettings
from burnish.train.engine import Engine
from burnish.train.known_targets import KnownTargets
from burnish.train.loop import accumulate
from burnish.train.method import Batch, Loss, Method

from ..conftest import RECORDS_FOR

# Those that learn from rows by their log-probabilities; the others have the same tests of their own.
METHODS = sorted(set(CATALOGUE["method"]) - {"grpo", "rloo", "ppo", "reward_model", "distill"})


class Bench:
    """A LoRA on the tiny model, moved away from its start, and a method with the batch of six rows."""

    def __init__(self, name: str, folder: Path) -> None:
        loaded = load_model(ModelSettings(name=str(folder), device="cpu"))
        self.module: Any = LoRA(LoRASettings(rank=4)).apply(loaded, 1)
        random = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for weight in self.module.parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn(weight.shape, generator=random) * 0.05)
        self.method: Method = build("method", settings_of("method", name))
        encoder = Encoder(loaded.tokenizer, 512)
        encoded = [self.method.encode(record, encoder).group for record in RECORDS_FOR[name](6)]
        rows = [group for group in encoded if group is not None]
        known = KnownTargets(folder / "none", "key")
        self.engine = Engine(self.module, loaded.device, loaded.dtype, loaded.tokenizer, 1024, 512, known)
        (self.batch,) = self.method.batches(rows, self.engine, 0)

    def packed(self, token_budget: int) -> tuple[float, dict[str, torch.Tensor]]:
        """The mean loss and its gradients, in packs of at most so many tokens."""

        def score(packed: Packed, part: Batch) -> Loss:
            scored = token_logprobs(self.module, packed)
            return self.method.loss(_with(scored, part))

        self.module.zero_grad()
        sums = accumulate(self.batch, token_budget, score, backward=True)
        return sums.loss, self._gradients(sums.weight)

    def one_by_one(self) -> tuple[float, dict[str, torch.Tensor]]:
        """The same from the model's own forward pass over each completion alone."""
        assert isinstance(self.module, PeftModel)
        logprobs, weights, completions = [], [], []
        groups: list[int] = []
        for number, group in enumerate(self.batch.groups):
            for completion in group.completions:
                tokens = torch.tensor([[*group.prompt, *completion.tokens]])
                shares = self.module(input_ids=tokens, use_cache=False).logits[0].log_softmax(-1)
                picked = shares[:-1].gather(1, tokens[0, 1:, None])[len(group.prompt) - 1 :, 0]
                kept = torch.tensor(completion.weights) > 0
                logprobs.append(picked[kept])
                weights.append(torch.tensor(completion.weights)[kept])
                completions.append(torch.full((int(kept.sum()),), len(groups)))
                groups.append(number)
        scored = ScoredGroups(
            torch.cat(logprobs), torch.cat(weights), torch.cat(completions), len(groups), torch.tensor(groups)
        )
        self.module.zero_grad()
        loss = self.method.loss(_with(scored, self.batch))
        loss.total.backward()  # type: ignore[no-untyped-call]
        return loss.total.item() / loss.weight, self._gradients(loss.weight)

    def _gradients(self, weight: float) -> dict[str, torch.Tensor]:
        return {n: p.grad / weight for n, p in self.module.named_parameters() if p.grad is not None}


def _with(scored: ScoredGroups, part: Batch) -> ScoredGroups:
    return replace(scored, per_target=part.per_target, per_completion=part.per_completion)


def assert_same(got: tuple[float, dict[str, torch.Tensor]], expected: tuple[float, dict[str, torch.Tensor]]) -> None:
    assert got[0] == pytest.approx(expected[0], rel=1e-5)
    assert got[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        error = (got[1][name] - gradient).norm() / gradient.norm().clamp_min(1e-6)
        assert error < 1e-4, f"{name}: relative error {error:.2g}"


@pytest.mark.parametrize("name", METHODS)
def test_any_split_and_one_by_one_equal_the_whole(name: str, tiny_model_folder: Path) -> None:
    bench = Bench(name, tiny_model_folder)
    whole = bench.packed(10_000)
    assert any(bool(gradient.abs().max() > 1e-6) for gradient in whole[1].values())
    for token_budget in (1, 70, 150):
        assert_same(bench.packed(token_budget), whole)
    assert_same(bench.one_by_one(), whole)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_asks_the_reference_only_for_what_it_announced(name: str, tiny_model_folder: Path) -> None:
    bench = Bench(name, tiny_model_folder)
    rows: list[PromptGroup] = list(bench.batch.groups)
    asked: list[PromptGroup] = []

    class Watched(Engine):
        def reference(self, groups: Any) -> torch.Tensor:
            asked.extend(groups)
            return super().reference(groups)

    engine = bench.engine
    watched = Watched(engine.module, engine.device, engine.dtype, engine.tokenizer, 1024, 512, engine.known)
    list(bench.method.batches(rows, watched, 3))
    announced = {KnownTargets.digest(group) for group in bench.method.compared(rows)}
    assert {KnownTargets.digest(group) for group in asked} == announced
    assert bool(asked) == ("reference" in bench.method.roles)
