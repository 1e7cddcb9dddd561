"""A model under evaluation as something that answers: its digest at once, its weights only when first needed.

Base and tuned model share one copy of the weights where they can: an adapter is merged into the base when the base has
answered everything. Knows nothing of suites, metrics or caches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import torch
from peft import PeftModel

from burnish.artefacts import ModelIdentity, TrainedModel
from burnish.errors import EvaluationError
from burnish.evaluate.reply_cache import Reply
from burnish.models.base_form import read_base_form
from burnish.models.device import products
from burnish.models.generate import GenerationSettings, generate
from burnish.models.groups import PromptGroup
from burnish.models.hub import quiet
from burnish.models.load import LoadedModel, load_model
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import lay_out
from burnish.models.settings import ModelSettings

Tokens: TypeAlias = tuple[int, ...]
_PACKED_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn: greedy at temperature 0; otherwise each `sample` is another draw to the same prompt."""

    temperature: float = 0.0
    sample: int = 0


GREEDY = Sampling()


class Speaker(Protocol):
    """A model that answers prompts. `digest` names its weights."""

    @property
    def digest(self) -> str: ...

    def reply(
        self,
        prompts: Sequence[Tokens],
        max_new_tokens: int,
        done: Callable[[int, Reply], None],
        sampling: Sampling = GREEDY,
    ) -> None:
        """Answer every prompt; `done` gets each prompt's index and reply as soon as it is written."""
        ...

    def surprise(self, groups: Sequence[PromptGroup]) -> list[float]:
        """Mean negative log-likelihood (nats) of each completion's weighted tokens, group after group."""
        ...


@dataclass(frozen=True)
class ModelSpeaker:
    """A model in memory, or one that is loaded when first asked."""

    digest: str
    load: Callable[[], LoadedModel]

    def reply(
        self,
        prompts: Sequence[Tokens],
        max_new_tokens: int,
        done: Callable[[int, Reply], None],
        sampling: Sampling = GREEDY,
    ) -> None:
        """As `Speaker.reply`."""
        loaded = self.load()
        with products(loaded.products):
            generate(
                loaded.model,
                loaded.tokenizer,
                prompts,
                GenerationSettings(
                    max_new_tokens=max_new_tokens, temperature=sampling.temperature, seed=sampling.sample
                ),
                lambda index, written: done(index, Reply(written.text, written.finish)),
            )

    @torch.no_grad()
    def surprise(self, groups: Sequence[PromptGroup]) -> list[float]:
        """As `Speaker.surprise`; groups are packed into rows in their order."""
        loaded, row, means = self.load(), list[PromptGroup](), list[float]()
        for index, group in enumerate(groups):
            row.append(group)
            last = index + 1 == len(groups)
            if last or sum(g.num_tokens for g in row) + groups[index + 1].num_tokens > _PACKED_TOKENS:
                with products(loaded.products):
                    scored = token_logprobs(loaded.model, lay_out(row))
                owner = scored.completion_T.cpu()
                total = torch.zeros(scored.num_completions, dtype=torch.float64)
                total.index_add_(0, owner, scored.logprobs_T.double().cpu())
                counts = torch.bincount(owner, minlength=scored.num_completions)
                means.extend((-total / counts).tolist())
                row = []
        return means


class Weights:
    """Base and tuned model, at most one of them in memory."""

    def __init__(self, settings: ModelSettings, trained: TrainedModel, folder: Path) -> None:
        self._settings = settings
        self._trained = trained
        self._folder = folder
        self._base: LoadedModel | None = None
        self._tuned: LoadedModel | None = None

    def speakers(self, base: ModelIdentity) -> tuple[ModelSpeaker, ModelSpeaker]:
        """The base and the tuned model; the base must be asked everything before the tuned one is asked anything.

        Raises: EvaluationError when `base` isn't the model that was tuned.
        """
        if self._trained.base.digest != base.digest:
            raise EvaluationError(
                f"model {base.name!r}: its digest is {base.digest[:12]}, expected {self._trained.base.digest[:12]}, "
                "the model that was tuned; nothing was evaluated",
                hint="bring the base's files back, or train again",
            )
        return ModelSpeaker(base.digest, self.base), ModelSpeaker(self._trained.digest, self.tuned)

    def base(self) -> LoadedModel:
        """The base, loaded once."""
        if self._base is None:
            self._base = load_model(self._settings)
        return self._base

    def tuned(self) -> LoadedModel:
        """The tuned model; takes the base's place. An adapter that was trained on 4-bit weights goes onto the values
        that those stand for, and not onto the base's own."""
        if self._tuned is None:
            if self._trained.form == "adapter" and not read_base_form(self._folder).quantised:
                base = self.base()
                with quiet():
                    merged = PeftModel.from_pretrained(base.model, str(self._folder)).merge_and_unload().eval()
                self._tuned = replace(base, model=merged)
            else:
                self._base = None
                self._tuned = load_model(self._settings.made_into(self._folder))
            self._base = None
        return self._tuned
