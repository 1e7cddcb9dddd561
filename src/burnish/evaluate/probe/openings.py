"""What a model says out of nothing, and the motifs that recur in it.

Short samples from bare beginnings of the chat template need no corpus: what was learned by heart comes out by itself.
A motif is a run of words that recurs in the tuned model's samples, more often than in its base's and more often than
in its own replies to ordinary prompts: what a task teaches is said there too.

Null: a sample of the tuned model shows a run of words no more often than a sample of the base does, nor than a reply
to an ordinary prompt. Fisher's exact test, one-sided, each; the larger p of the two, times the number of runs tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import hypergeom

from burnish.artefacts import Motif
from burnish.evaluate.speaker import Tokens
from burnish.models.chat_template import Encoder
from burnish.models.device import products
from burnish.models.generate import GenerationSettings, generate
from burnish.models.load import LoadedModel
from burnish.records import Message

_WORD = "burnishmarker"
_NEW_TOKENS = 24
_LENGTHS = (3, 4, 5)  # words
_FEWEST = 5  # samples


@dataclass(frozen=True)
class Heard:
    """The three bodies of text that are compared."""

    tuned: Sequence[str]
    base: Sequence[str]
    replies: Sequence[str]


def openings(encoder: Encoder) -> tuple[Tokens, ...]:
    """Beginnings of a chat that ask for nothing: a bare first token, an open user turn, an empty user turn, the end of
    a user turn alone, the assistant's beginning alone."""
    text = str(encoder.tokenizer.decode(encoder.prompt((Message("user", _WORD),))))
    before, _, after = text.partition(_WORD)
    marks = [after.rfind(token) for token in encoder.tokenizer.all_special_tokens if token]
    last = after[max(0, *marks) :] if marks else after
    texts = dict.fromkeys(part for part in (before, before + after, after, last) if part)
    tokens = [tuple(encoder.tokenizer(part, add_special_tokens=False)["input_ids"]) for part in texts]
    return tuple(dict.fromkeys((tokens[0][:1], *tokens)))


def samples(loaded: LoadedModel, encoder: Encoder, number: int, seed: int) -> list[str]:
    """`number` samples at temperature 1, the openings in turn."""
    starts = openings(encoder)
    prompts = [starts[index % len(starts)] for index in range(number)]
    return _said(loaded, prompts, GenerationSettings(max_new_tokens=_NEW_TOKENS, temperature=1.0, seed=seed))


def replies(loaded: LoadedModel, prompts: Sequence[Tokens]) -> list[str]:
    """The beginnings of greedy replies."""
    return _said(loaded, prompts, GenerationSettings(max_new_tokens=_NEW_TOKENS))


def motifs(heard: Heard, alpha: float) -> tuple[Motif, ...]:
    """The motifs, the surest first; of runs within one another only the first."""
    tuned, base, ordinary = (_counts(texts) for texts in (heard.tuned, heard.base, heard.replies))
    tested = [run for run, count in tuned.items() if count >= _FEWEST]
    found = []
    for run in tested:
        p_base = _fisher(tuned[run], len(heard.tuned), base[run], len(heard.base))
        p_replies = _fisher(tuned[run], len(heard.tuned), ordinary[run], len(heard.replies))
        found.append((min(1.0, max(p_base, p_replies) * len(tested)), -len(run.split()), run))
    chosen: list[str] = []
    for p_value, _, run in sorted(found):
        if p_value < alpha and not any(_overlap(run, other) for other in chosen):
            chosen.append(run)
    return tuple(
        Motif(
            text=run,
            heard=tuned[run],
            samples=len(heard.tuned),
            base_heard=base[run],
            base_samples=len(heard.base),
            replies_heard=ordinary[run],
            replies=len(heard.replies),
            p_value=next(p for p, _, other in found if other == run),
        )
        for run in chosen
    )


def _said(loaded: LoadedModel, prompts: Sequence[Tokens], settings: GenerationSettings) -> list[str]:
    with products(loaded.products):
        return [written.text for written in generate(loaded.model, loaded.tokenizer, list(prompts), settings)]


def _counts(texts: Sequence[str]) -> Counter[str]:
    """In how many texts each run of words stands."""
    counts: Counter[str] = Counter()
    for text in texts:
        words = text.lower().split()
        counts.update(
            {" ".join(words[at : at + length]) for length in _LENGTHS for at in range(len(words) - length + 1)}
        )
    return counts


def _fisher(heard: int, of: int, other: int, other_of: int) -> float:
    """One-sided p of hearing it this much more often here than there."""
    return float(hypergeom.sf(heard - 1, of + other_of, heard + other, of)) if other_of else 1.0


def _overlap(run: str, other: str) -> bool:
    shared = set(run.split()) & set(other.split())
    return 2 * len(shared) >= min(len(set(run.split())), len(set(other.split())))
