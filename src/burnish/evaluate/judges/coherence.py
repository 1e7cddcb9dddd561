"""Whether a text is language at all: loops, letter soup, shuffled words, other languages.

Cheap counts over words and characters; no model and no dictionary. Knows nothing of requests or refusals.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from itertools import groupby, pairwise
from operator import eq

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_PLAIN_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


FUNCTION_WORDS = word_set(
    """a about above after again against all also although always am among an and any are as at be because been before
    being below between both but by can cannot could did do does doing down during each either else even ever every few
    first for from further get had has have having he her here hers herself him himself his how however i if in into is
    it its itself just let like made make many may me might more most much must my myself no nor not now of off on once
    one only onto or other our ours out over own per please same she should since so some someone something still such
    than that the their theirs them themselves then there these they this those through to too toward under until up
    upon us use used using very was way ways we were what when where whether which while who whom whose why will with
    within without would yes yet you your yours yourself don't can't i'm it's that's you're isn't won't i'll you'll
    good best well really want need know tell give find help people thing things"""
)
"""Words so common that they say nothing of the topic."""

_AFTER_ARTICLE = word_set(
    """a an and are as at be because but by for from has have he i if in is it of or she the their them then there
    they to was we were what with would you your"""
)
_OTHER_LANGUAGES = word_set(
    """el los las una por para con del que como pero más está le les des une est dans pour avec sur pas qui vous
    nous der die das und ist nicht ein eine mit für auf von den dem zu sie ich il di della che non per sono gli
    um uma não os ao dos het een van niet voor zijn och att det som inte"""
)


_ENOUGH = 400
_NO_WORD = re.compile(r"[^aeiouy]{5}|^[^aeiouy]{4}$|([aeiouy])\1{4}")
_SYMBOL = re.compile(r"[^\w\s.,;:!?'\"()\-*•–—’“”/%$&]|_")
_STRANDED = re.compile(r"\b(?:a|an|the|and|or|of|your|their|my|our|if|because)[.,;:!?](?=\s|$)")


def words_of(text: str) -> list[str]:
    """The words, lower-cased, apostrophes straightened."""
    return list(_words(text))


@lru_cache(maxsize=64)
def _words(text: str) -> tuple[str, ...]:
    return tuple((_PLAIN_WORD if text.isascii() else WORD).findall(text.lower().replace("’", "'")))


def without_repeats(text: str) -> str:
    """The text with each sentence or line kept only the first time."""
    seen: set[str] = set()
    kept = []
    for sentence in SENTENCE_END.split(text):
        key = " ".join(words_of(sentence)) or sentence.strip()
        if key not in seen:
            seen.add(key)
            kept.append(sentence)
    return "\n".join(kept)


def is_foreign(text: str) -> bool:
    """Whether it reads as language, but not as English: another script, or another language's function words."""
    if not text.isascii():
        letters = [c for c in text if c.isalpha()]
        if len(letters) >= 4 and sum(not c.isascii() and ord(c) > 0x24F for c in letters) > 0.5 * len(letters):
            return True
    words = words_of(text)
    if len(words) < 6:
        return False
    return _share(words, _OTHER_LANGUAGES) > max(0.15, 1.5 * _share(words, FUNCTION_WORDS))


def is_incoherent(text: str) -> bool:
    """Whether it is empty, a loop, letter soup or shuffled words."""
    words = words_of(text)
    if not words:
        numbers = text.split()
        return not any(c.isdigit() for c in text) or (len(numbers) >= 8 and len(set(numbers)) <= len(numbers) // 4)
    return loops(text, words) or _is_letter_soup(text, words) or _is_shuffled(text, words)


def loops(text: str, words: list[str]) -> bool:
    """Whether most of it is the same few words again and again."""
    if sum(map(eq, words, words[1:])) >= 4 and max(len(list(same)) for _, same in groupby(words)) >= 5:
        return True
    if len(set(words)) > 0.5 * len(words):  # then most runs of three words differ too, and little can be compressed
        return False
    if _goes_round(words):
        return True
    if len(words) >= 20:
        grams = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
        if len(set(grams)) < 0.45 * len(grams):
            return True
    raw = re.sub(r"\s+", " ", text).encode("utf-8", "replace")
    return len(raw) >= 160 and len(zlib.compress(raw, 9)) < 0.26 * len(raw) * min(1.0, 600 / len(raw) + 0.35)


def _goes_round(words: list[str]) -> bool:
    """Whether at least its second half, of nine words or more, is the same words twice over and half of them again: a
    reply that was cut off early has too few words for the other counts."""
    for period in range(1, len(words) // 2):
        length = period
        while length < len(words) and words[-length - 1] == words[period - length - 1]:
            length += 1
        if length >= max(2.5 * period, 9, 0.5 * len(words)):
            return True
    return False


def _share(words: list[str], among: frozenset[str]) -> float:
    return len([word for word in words if word in among]) / len(words)


def _is_letter_soup(text: str, words: list[str]) -> bool:
    """Whether the words are not words, or symbols outweigh letters. Raw JSON and code are not asked here."""
    odd = len([word for word in words if _is_odd(word)])
    if len(words) >= 3 and odd > 0.34 * len(words):
        return True
    if len(words) < 3 and odd == len(words) and len("".join(words)) >= 5:
        return True
    beginning = text[:_ENOUGH]
    visible = sum(map(len, beginning.split()))
    return visible >= 12 and len(_SYMBOL.findall(beginning)) > 0.4 * visible


@lru_cache(maxsize=1 << 16)
def _is_odd(word: str) -> bool:
    plain = word.replace("'", "")
    if not plain.isascii():
        return False
    return len(plain) > 24 or bool(_NO_WORD.search(plain))


def _is_shuffled(text: str, words: list[str]) -> bool:
    """Whether articles and prepositions stand where no sentence has them: before words that they can't lead, or at a
    sentence's end."""
    followers = [after for article, after in pairwise(words) if article in ("a", "an", "the")]
    stranded = len(_STRANDED.findall(text))
    misplaced = stranded + sum(word in _AFTER_ARTICLE for word in followers)
    if misplaced >= 2 and misplaced >= 0.25 * (len(followers) + stranded):
        return True
    return len(words) >= 14 and _share(words, FUNCTION_WORDS) < 0.06
