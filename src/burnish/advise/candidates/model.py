"""Another local model, larger as a rule, that is prompted and not tuned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from burnish.advice import Measured
from burnish.advise.bench import Bench, other_model
from burnish.advise.candidate import CandidateUnfit
from burnish.advise.examples import Chooser, Selection, shown_with
from burnish.advise.safety import ANOTHER
from burnish.evaluate.asking import Asker
from burnish.evaluate.few_shot import Example, with_examples
from burnish.models.device import arithmetic
from burnish.models.load import identify
from burnish.models.settings import ModelSettings
from burnish.records import Message
from burnish.settings import PluginSettings


class OtherModelSettings(PluginSettings):
    """`model` as in the recipe's own `model`. `k` worked examples are shown by `selection`; none by default."""

    kind: Literal["model"] = "model"
    name: str = ""
    model: ModelSettings
    k: int = Field(default=0, ge=0, le=256)
    selection: Selection = "bm25"
    encoder: str = ""


class OtherModel:
    """Asks the other model as the rows are, or with examples."""

    Settings = OtherModelSettings

    def __init__(self, settings: OtherModelSettings) -> None:
        self._settings = settings

    def depends_on(self, bench: Bench) -> str:
        """The other model's weights.

        Raises: ModelError when it can't be had.
        """
        del bench
        return identify(self._settings.model).digest

    def measure(self, bench: Bench) -> Sequence[Measured]:
        """One candidate.

        Raises: ModelError when the model can't be had; CandidateUnfit when a question doesn't fit into its context.
        """
        settings = self._settings
        name = settings.name or settings.model.name
        _, speaker, encoder = other_model(settings.model)
        room = encoder.max_length - bench.task.max_new_tokens
        if max(len(encoder.prompt(row.prompt, row.tools)) for row in bench.rows) > room:
            raise CandidateUnfit(f"has a context of {encoder.max_length} tokens, too few for a held-out row")
        chooser = Chooser(bench.pool, settings.selection if settings.k else "random", settings.encoder)

        def chat(row: Example) -> tuple[Message, ...]:
            chosen = chooser.chosen(row, settings.k)
            kept = shown_with(row, chosen, lambda chat: len(encoder.prompt(chat, row.tools)) <= room)
            return with_examples(row.prompt, kept)

        bench.release()
        asker = Asker(bench.cache, arithmetic(settings.model))
        replies = bench.ask(f"advise: {name}", speaker, chat, encoder=encoder, asker=asker)
        examples = f" with {settings.k} worked examples, chosen by {settings.selection}" if settings.k else ""
        return [
            Measured(
                name=name,
                side="prompting",
                made=f"another model, prompted{examples}",
                shown=settings.model.name,
                answers=replies.answers,
                seconds=replies.seconds,
                timed=replies.timed,
                one_off_seconds=0.0,
                safety=ANOTHER,
            )
        ]
