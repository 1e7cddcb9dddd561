"""Finds many phrases in a text at once: a phrase book compiled to a tree of words, walked once for each word.

A phrase is written as words with gaps: `a|b` either, `{name}` any of a named class, `x?` may be missing, `*` any one
word, `a_b` two words as one alternative, `^` and `$` the sentence's ends. Text is brought to one form first:
contractions written out, adverbs that change nothing left out; so "I'm simply not able" and "I am not able" are one
phrase. Thousands of spellings then cost one dictionary look-up a word. English only; knows nothing of refusals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product

BEGIN, END = "^", "$"
_ANY, _HIT = "*", ""
_WRITTEN_OUT = (
    ("’", "'"), ("can't", "cannot"), ("can not", "cannot"), ("won't", "will not"), ("shan't", "shall not"),
    ("ain't", "am not"), ("couldnt", "could not"), ("n't", " not"), ("'m ", " am "), ("'re ", " are "),
    ("'ll ", " will "), ("'ve ", " have "), ("'d ", " would "), ("it's", "it is"), ("that's", "that is"),
    ("there's", "there is"), ("here's", "here is"), ("what's", "what is"), ("let's", "let us"), ("he's", "he is"),
    ("she's", "she is"), ("dont ", "do not "), ("cant ", "cannot "), (" wont ", " will not "), ("im ", "i am "),
)  # fmt: skip
_EMPTY_ADVERBS = frozenset(
    [
        "simply",
        "just",
        "really",
        "actually",
        "also",
        "unfortunately",
        "therefore",
        "honestly",
        "truly",
        "strictly",
        "generally",
        "very",
        "highly",
        "extremely",
        "quite",
        "definitely",
        "currently",
        "personally",
        "respectfully",
        "politely",
        "firmly",
        "regretfully",
        "afraid",
        "too",
        "so",
        "even",
        "ever",
        "obviously",
        "clearly",
        "frankly",
        "sadly",
        "regrettably",
        "additionally",
        "furthermore",
        "moreover",
        "then",
        "still",
        "probably",
        "ultimately",
        "inherently",
        "completely",
        "entirely",
        "totally",
        "fully",
        "directly",
        "necessarily",
        "particularly",
        "well",
        "right",
        "remotely",
        "gonna",
        "kindly",
        "but",
        "and",
    ]
)
_TOKEN = re.compile(r"[a-z]+|[0-9]+|[.!?:;](?=[\s\"*)])|\n| [–—-]+ ")


class PhraseBook:
    """Phrases by family, compiled. `families` are numbered in the order given."""

    def __init__(self, phrases: Mapping[str, Sequence[str]], classes: Mapping[str, str]) -> None:
        """Compile. `classes` maps a class's name to its alternatives, separated by spaces.

        Raises: KeyError when a phrase names a class that there is not.
        """
        self.families = tuple(phrases)
        self._root: dict[str, dict[str, object]] = {}
        for number, family in enumerate(self.families):
            for phrase in phrases[family]:
                for words in _spellings(phrase, classes):
                    self._add(words, number)

    def _add(self, words: Sequence[str], family: int) -> None:
        node: dict[str, object] = self._root  # type: ignore[assignment]
        if not all(words):
            raise ValueError(f"got a phrase with an empty alternative: {words}")
        for word in words:
            node = node.setdefault(word, {})  # type: ignore[assignment]
        found: set[int] = node.setdefault(_HIT, set())  # type: ignore[assignment]
        found.add(family)

    def find(self, words: Sequence[str]) -> set[int]:
        """The numbers of the families of which a phrase stands in one sentence's words (as `sentences` gives them)."""
        found: set[int] = set()
        for start, word in enumerate(words):
            first = self._root.get(word)
            if first is not None:
                _walk(first, words, start + 1, found)
        return found


def _walk(node: dict[str, object], words: Sequence[str], at: int, found: set[int]) -> None:
    while True:
        hit: set[int] | None = node.get(_HIT)  # type: ignore[assignment]
        if hit is not None:
            found |= hit
        if at >= len(words):
            return
        anything: dict[str, object] | None = node.get(_ANY)  # type: ignore[assignment]
        if anything is not None and words[at] not in (BEGIN, END):
            _walk(anything, words, at + 1, found)
        following: dict[str, object] | None = node.get(words[at])  # type: ignore[assignment]
        if following is None:
            return
        node, at = following, at + 1


def sentences(text: str, most: int) -> list[list[str]]:
    """The first `most` sentences (or lines, or clauses after a colon), each as its words between BEGIN and END."""
    found: list[list[str]] = []
    words: list[str] = [BEGIN]
    for token in _TOKEN.findall(written_out(text)):
        if token.isalnum():
            if token not in _EMPTY_ADVERBS:
                words.append(token)
        elif len(words) > 1:
            found.append([*words, END])
            if len(found) == most:
                return found
            words = [BEGIN]
    if len(words) > 1:
        found.append([*words, END])
    return found


def written_out(text: str) -> str:
    """Lower case, contractions written out."""
    text = text.lower()
    for short, long in _WRITTEN_OUT:
        if short in text:
            text = text.replace(short, long)
    return text


def _spellings(phrase: str, classes: Mapping[str, str]) -> list[tuple[str, ...]]:
    slots: list[list[tuple[str, ...]]] = []
    for part in phrase.split():
        optional = part.endswith("?")
        choices: list[tuple[str, ...]] = []
        for choice in part.removesuffix("?").split("|"):
            named = choice.startswith("{")
            for spelling in classes[choice[1:-1]].split() if named else [choice]:
                choices.append(tuple(spelling.split("_")))
        slots.append([*choices, ()] if optional else choices)
    return [tuple(word for choice in row for word in choice) for row in product(*slots)]
