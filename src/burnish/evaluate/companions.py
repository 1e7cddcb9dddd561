"""Models that the tuned one is laid beside, prompt by prompt: the teacher that it was distilled from, and the instruct
sibling that the recipe names.

Each is asked the same prompts in its own chat template, alone in memory, and let go; what it said before is in the
cache. Knows nothing of verdicts or of what is demanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from burnish.artefacts import Companion, CompanionArm, ModelIdentity, Side, TrainedModel
from burnish.errors import EvaluationError
from burnish.evaluate.asked import AskedSuite, asked_suites
from burnish.evaluate.asking import Asker
from burnish.evaluate.reply_cache import ReplyCache
from burnish.evaluate.safety import Samples, ask_suite
from burnish.evaluate.settings import EvaluateSettings, SafetySettings
from burnish.evaluate.speaker import ModelSpeaker
from burnish.evaluate.suites import load_suite
from burnish.logs import warn
from burnish.models.chat_template import Encoder
from burnish.models.device import arithmetic
from burnish.models.load import LoadedModel, identify, load_model, load_tokenizer
from burnish.models.settings import ModelSettings


@dataclass(frozen=True)
class Beside:
    """A companion, and where it is loaded from."""

    companion: Companion
    settings: ModelSettings


@dataclass(frozen=True)
class Heard:
    """A companion's replies to each suite, in the form that it was asked in, and how many of them were `generated` and
    how many `cached`."""

    companion: Companion
    answers: tuple[tuple[AskedSuite, Samples], ...]
    generated: int
    cached: int


def companions_of(settings: EvaluateSettings, model: ModelSettings, trained: TrainedModel) -> tuple[Beside, ...]:
    """The models to lay beside the tuned one, none of them loaded. A teacher that is known from training alone is read
    with the settings of `model`.

    Raises: EvaluationError when a teacher isn't the one that the model was distilled from; ModelError when a model
    can't be had.
    """
    found = []
    for arm, named in _named(settings, model, trained):
        identity = identify(named)
        if arm == "teacher":
            _check_teacher(identity, trained.teacher)
        found.append(Beside(Companion(arm=arm, model=identity, dtype=arithmetic(named)), named))
    return tuple(found)


def ask_companion(
    beside: Beside, safety: SafetySettings, context: int, folder: Path, side: Side, cache: ReplyCache
) -> Heard:
    """Ask a companion every suite; it reads `context` tokens at most.

    Raises: DataError or EvaluationError when a suite can't be used; ModelError when the model can't be loaded.
    """
    loaded: list[LoadedModel] = []

    def load() -> LoadedModel:
        if not loaded:
            loaded.append(load_model(beside.settings))
        return loaded[0]

    asker = Asker(cache, beside.companion.dtype)
    speaker = ModelSpeaker(beside.companion.model.digest, load)
    encoder = Encoder(load_tokenizer(beside.settings), context)
    answers = tuple(
        (suite, ask_suite(suite, beside.companion.arm, speaker, asker, safety.max_new_tokens))
        for suite in _suites(safety, folder, side, encoder)
    )
    return Heard(beside.companion, answers, asker.generated, asker.cached)


def _named(
    settings: EvaluateSettings, model: ModelSettings, trained: TrainedModel
) -> Iterator[tuple[CompanionArm, ModelSettings]]:
    teacher = trained.teacher
    if settings.teacher is not None:
        yield "teacher", settings.teacher
    elif teacher is not None and teacher.path:
        yield "teacher", model.made_into(Path(teacher.path))
    elif teacher is not None:
        warn(
            f"the teacher {teacher.name} has no weights here and isn't asked, so that nothing is known of what was "
            "inherited of its refusals, and the gate will hold; name its weights as evaluate.teacher"
        )
    if settings.sibling is not None:
        yield "sibling", settings.sibling


def _check_teacher(found: ModelIdentity, known: ModelIdentity | None) -> None:
    """A teacher behind an endpoint has no weights to compare with, and so no digest."""
    if known is not None and known.digest and found.digest != known.digest:
        raise EvaluationError(
            f"model {found.name!r}: its digest is {found.digest[:12]}, expected {known.digest[:12]}, the teacher that "
            "the model was distilled from; nothing was evaluated",
            hint="bring the teacher's files back, or name it as evaluate.teacher with the settings that it taught with",
        )


def _suites(safety: SafetySettings, folder: Path, side: Side, encoder: Encoder) -> Iterator[AskedSuite]:
    for one in safety.suites:
        suite = load_suite(one, folder, side, safety.development_share)
        yield from asked_suites(one, suite, side, safety.system, encoder, safety.max_new_tokens)
