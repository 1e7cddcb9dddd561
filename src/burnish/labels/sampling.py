"""Makes the pairs to label: two answers to each prompt, of two models or of one at two temperatures.

Prompts come unlike ones first. A measure of doubt (a reward model's, say) may choose among more pairs those that it is
least sure of; it is handed in, so that nothing here knows what it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from burnish.errors import LabelError
from burnish.labels.diverse import diverse_first
from burnish.labels.pair import Answer, Pair, turns
from burnish.logs import progress, say
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, PreferencePair, Record
from burnish.run_folder import weights_of

Doubt = Callable[[Sequence[Pair]], Sequence[float]]
"""For each pair the difference of the two answers' rewards, in their order; near zero is least sure."""
_POOL = 4  # with a measure of doubt, this many times as many pairs are made to choose from


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt and where it came from."""

    messages: tuple[Message, ...]
    origin: str

    @property
    def text(self) -> str:
        """All that was said, for comparing prompts."""
        return "\n".join(message.content for message in self.messages)


@dataclass(frozen=True, slots=True)
class Voice:
    """Who answers: a model, by what its settings say, at a temperature."""

    model: ModelSettings
    temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """The pairs, and how many prompts gave none: both answers alike, or too long for a model."""

    pairs: tuple[Pair, ...]
    alike: int
    too_long: int


def prompts_of(records: Iterable[Record]) -> tuple[list[Asked], int]:
    """The distinct prompts of the records, and how many records have none (plain text)."""
    found: dict[str, Asked] = {}
    without = 0
    for record in records:
        messages = record.prompt() if isinstance(record, Conversation) else record.prompt
        if not messages or messages[-1].role == "assistant":
            without += 1
            continue
        asked = Asked(messages, str(record.source))
        found.setdefault(asked.text, asked)
    return list(found.values()), without


def sample_pairs(
    prompts: Sequence[Asked],
    voices: tuple[Voice, Voice],
    count: int,
    max_new_tokens: int,
    doubt: Doubt | None = None,
) -> Sampled:
    """About `count` pairs, fewer when answers are alike or prompts too long.

    Raises: LabelError when there is no prompt, or no pair came of any; ModelError when a model can't be had.
    """
    if not prompts:
        raise LabelError("the recipe's data holds no prompt; no pair was made", hint="give rows that ask something")
    wanted = count * _POOL if doubt else count
    chosen = [prompts[index] for index in diverse_first([asked.text for asked in prompts], wanted)]
    answers = [_answers(voice, chosen, max_new_tokens) for voice in voices]
    made: list[Pair] = []
    alike = too_long = 0
    for asked, first, second in zip(chosen, *answers, strict=True):
        if first is None or second is None:
            too_long += 1
        elif first.text == second.text:
            alike += 1
        else:
            made.append(Pair(prompt=turns(asked.messages), answers=(first, second), origin=asked.origin))
    if not made:
        raise LabelError(
            f"{len(chosen)} prompts gave no pair: {alike} have twice the same answer, {too_long} are too long",
            hint="raise the temperatures, or answer with two models",
        )
    return Sampled(tuple(least_sure(made, doubt(made), count) if doubt else made), alike, too_long)


def least_sure(pairs: Sequence[Pair], differences: Sequence[float], count: int) -> list[Pair]:
    """The `count` pairs whose answers differ least in reward, the least first."""
    order = sorted(range(len(pairs)), key=lambda index: abs(differences[index]))
    return [pairs[index] for index in order[:count]]


def gold_pairs(records: Iterable[Record]) -> Iterator[Pair]:
    """Preference rows of one reply a side as gold pairs, the chosen reply first; others are left out."""
    for record in records:
        if not isinstance(record, PreferencePair) or len(record.chosen) != 1 or len(record.rejected) != 1:
            continue
        sides = (record.chosen[0].content, record.rejected[0].content)
        if all(sides) and record.prompt and record.prompt[-1].role != "assistant":
            yield Pair(
                prompt=turns(record.prompt),
                answers=(Answer(text=sides[0]), Answer(text=sides[1])),
                gold="first",
                origin=str(record.source),
            )


def mixed(pairs: Sequence[Pair], gold: Sequence[Pair]) -> list[Pair]:
    """Both, the gold pairs spread evenly."""
    placed = [((index + 1) / (len(pairs) + 1), 0, pair) for index, pair in enumerate(pairs)]
    placed += [((index + 0.5) / len(gold), 1, pair) for index, pair in enumerate(gold)]
    return [pair for _, _, pair in sorted(placed, key=lambda item: item[:2])]


def _answers(voice: Voice, prompts: Sequence[Asked], max_new_tokens: int) -> list[Answer | None]:
    """This voice's answer to each prompt; None to one that is too long for its model."""
    from burnish.models.chat_template import Encoder
    from burnish.models.device import products
    from burnish.models.generate import GenerationSettings, generate
    from burnish.models.load import load_model

    settings = voice.model.model_copy(update={"name": weights_of(voice.model.name)})
    say(f"loading {voice.model.name}")
    loaded = load_model(settings)
    length = int(getattr(loaded.model.config, "max_position_embeddings", 0)) or sys.maxsize
    encoder = Encoder(loaded.tokenizer, length)
    tokens = [encoder.prompt(asked.messages) for asked in prompts]
    fitting = [index for index, prompt in enumerate(tokens) if len(prompt) + max_new_tokens <= length]
    how = GenerationSettings(max_new_tokens=max_new_tokens, temperature=voice.temperature, seed=voice.seed)
    answers: list[Answer | None] = [None] * len(prompts)
    with progress(f"Answers at {voice.temperature:g}", len(fitting)) as bar, products(loaded.products):
        written = generate(
            loaded.model, loaded.tokenizer, [tokens[index] for index in fitting], how, lambda *_: bar.advance()
        )
    for index, reply in zip(fitting, written, strict=True):
        answers[index] = Answer(
            text=reply.text,
            model=voice.model.name,
            temperature=voice.temperature,
            seed=voice.seed,
            finish=reply.finish,
        )
    return answers
