"""Two answers to one prompt, for a person to choose between, and the file that such pairs lie in.

A pairs file is JSONL, one `Pair` a line. A gold pair is one whose better answer is known: it tells how carefully a
person labels, and is never trained on. Knows nothing of who labels, or how.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field, ValidationError, model_validator

from burnish.artefacts import Artefact
from burnish.errors import LabelError
from burnish.records import Message, Role, content_digest
from burnish.run_folder import written_whole

Known: TypeAlias = Literal["first", "second", "tie", "both_bad"]
"""What may be said of a pair, beside skipping it."""
_FAULTS_SHOWN = 10


class Turn(Artefact):
    """One message of a prompt."""

    role: Role
    content: str


class Answer(Artefact):
    """What one model said. `model` is its name as it was asked for; `temperature` and `seed` are None where it isn't
    known how the answer came to be. `finish` is "length" when the answer was cut off."""

    text: str
    model: str = ""
    temperature: float | None = None
    seed: int | None = None
    finish: Literal["", "stop", "length"] = ""


class Pair(Artefact):
    """A prompt and two answers, in no order of merit. `gold` is the known choice of a gold pair; `origin` is where the
    prompt came from; `blind` is whether the labeller could not know which model gave which answer."""

    prompt: tuple[Turn, ...] = Field(min_length=1)
    answers: tuple[Answer, Answer]
    gold: Known | None = None
    origin: str = ""
    blind: bool = True

    @model_validator(mode="after")
    def _has_a_question(self) -> Pair:
        if self.prompt[-1].role == "assistant":
            raise ValueError("the prompt ends with the assistant's turn, expected the turn that it answers")
        if self.answers[0].text == self.answers[1].text:
            raise ValueError("both answers are the same, expected a difference to judge")
        return self

    @property
    def id(self) -> str:
        """Names the pair by what is shown, in either order of the answers."""
        texts = sorted(answer.text for answer in self.answers)
        return content_digest([[turn.role, turn.content] for turn in self.prompt], texts)[:16]


@lru_cache(maxsize=1 << 14)
def pair_of(content: str) -> Pair:
    """A pair from its JSON, as the store holds it.

    Raises: ValueError when it isn't one.
    """
    return Pair.model_validate_json(content)


def turns(messages: Iterable[Message]) -> tuple[Turn, ...]:
    """Messages as a pair's prompt holds them."""
    return tuple(Turn(role=message.role, content=message.content) for message in messages)


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a file, in its order; one that stands twice is taken once.

    Raises: LabelError naming each line that isn't a pair, or when there is no such file or no pair in it.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise LabelError(
            f"{path}: no such file, expected pairs to label; nothing was opened",
            hint="make pairs with: burnish sample RECIPE",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: can't be read as UTF-8 text ({error}); nothing was opened") from error
    pairs: dict[str, Pair] = {}
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            pair = Pair.model_validate_json(line)
            pairs.setdefault(pair.id, pair)
        except ValidationError as error:
            faults.append(f"{path}:{number}: {_said(error)}")
    if faults:
        more = [f"... and {len(faults) - _FAULTS_SHOWN} more"] if len(faults) > _FAULTS_SHOWN else []
        raise LabelError(
            "\n".join([*faults[:_FAULTS_SHOWN], *more]) + f"\n{len(faults)} lines are no pairs; nothing was opened",
            hint='a line is {"prompt": [{"role": "user", "content": ...}], "answers": [{"text": ...}, {"text": ...}]}',
        )
    if not pairs:
        raise LabelError(f"{path}: holds no pair; nothing was opened", hint="make pairs with: burnish sample RECIPE")
    return list(pairs.values())


def write_pairs(path: Path, pairs: Iterable[Pair]) -> int:
    """Write pairs, whole or not at all; returns how many."""
    count = 0
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for pair in pairs:
            file.write(pair.model_dump_json() + "\n")
            count += 1
    return count


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" if where else f"{message[:1].lower()}{message[1:]}"
