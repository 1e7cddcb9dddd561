"""A suite as it is asked: plainly, and in every strength of every attack on it, each a suite of its own by name.

Makes names, questions and tokens; asks nothing and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burnish.artefacts import Side, SuiteKind
from burnish.catalogue import build
from burnish.errors import EvaluationError
from burnish.evaluate.attack import Attack, Question, settings_of_attack, strengths
from burnish.evaluate.settings import SuiteSettings
from burnish.evaluate.speaker import Tokens
from burnish.evaluate.suites import Suite, stratified
from burnish.models.chat_template import Encoder
from burnish.records import Message, Prompt, content_digest


@dataclass(frozen=True)
class AskedSuite:
    """One suite in one way of asking. `of` is the suite's own name and `attack` what is done to it ("" when it is asked
    plainly); `prompts` are what the judge reads, `shown` the texts that were put to the model and `tokens` the same as
    token ids, with `prefilled` tokens of the reply behind them. Several `samples` are drawn at `temperature`."""

    name: str
    kind: SuiteKind
    of: str
    attack: str
    prompts: tuple[Prompt, ...]
    shown: tuple[str, ...]
    tokens: tuple[Tokens, ...]
    side: Side
    digest: str
    prefilled: int = 0
    samples: int = 1
    temperature: float = 0.0


def asked_suites(
    settings: SuiteSettings, suite: Suite, side: Side, system: str, encoder: Encoder, longest_reply: int
) -> Iterator[AskedSuite]:
    """The suite in every way that its settings ask for; a reply of `longest_reply` tokens must fit behind each prompt.

    Raises: EvaluationError when an attack's prompts are too long for the model, or its opening is too short.
    """
    for plugin in settings.attacks:
        attack: Attack = build("attack", plugin)
        told = settings_of_attack(plugin)
        prompts = stratified(suite.prompts, told.rows)
        said = (Message("system", system),) if system and told.system else ()
        for strength, way in strengths(plugin):
            name = f"{suite.name}+{way}" if way else suite.name
            questions = [attack.ask(strength, prompt.text) for prompt in prompts]
            begun = [_begun(name, question, encoder) for question in questions]
            tokens = tuple(
                encoder.prompt((*said, *question.turns)) + opening
                for question, opening in zip(questions, begun, strict=True)
            )
            _check_length(name, tokens, encoder.max_length - longest_reply)
            parts = [[p.id, p.text, p.category, p.family] for p in prompts]
            yield AskedSuite(
                name=name,
                kind=suite.kind,
                of=suite.name,
                attack=way,
                prompts=prompts,
                shown=tuple(_shown(q, opening, encoder) for q, opening in zip(questions, begun, strict=True)),
                tokens=tokens,
                side=side,
                digest=content_digest(parts, *([plugin.model_dump(mode="json"), strength] if way else [])),
                prefilled=max(len(opening) for opening in begun),
                samples=told.samples,
                temperature=told.temperature if told.samples > 1 else 0.0,
            )


def _begun(name: str, question: Question, encoder: Encoder) -> Tokens:
    """The tokens that the reply begins with."""
    if not question.opening_tokens:
        return ()
    every: Sequence[int] = encoder.tokenizer(question.opening, add_special_tokens=False)["input_ids"]
    if len(every) < question.opening_tokens:
        raise EvaluationError(
            f"{name}: the opening has {len(every)} tokens with this model's tokenizer, expected at least "
            f"{question.opening_tokens}; nothing was evaluated",
            hint="set a longer `opening` of the attack, or fewer `tokens`",
        )
    return tuple(every[: question.opening_tokens])


def _check_length(name: str, tokens: Sequence[Tokens], most: int) -> None:
    longest = max(len(prompt) for prompt in tokens)
    if longest > most:
        raise EvaluationError(
            f"{name}: its longest prompt has {longest:,} tokens, expected at most {most:,} so that a reply fits into "
            "the model's context; nothing was evaluated",
            hint="ask with fewer `shots`, shorter prompts, or a model with a longer context",
        )


def _shown(question: Question, opening: Tokens, encoder: Encoder) -> str:
    """The last user turn, and what was put into the model's mouth after it."""
    text = question.turns[-1].content
    before = f"[after {len(question.turns) - 1} placeholder turns]\n\n" if len(question.turns) > 1 else ""
    begun = f"\n\n[the reply was begun: {encoder.tokenizer.decode(opening)}]" if opening else ""
    return before + text + begun
