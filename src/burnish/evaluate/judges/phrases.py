"""Finds many phrases in a text at once: a phrase book compiled to a tree of words, walked once for each word.

A phrase is written as words with gaps: `a|b` either, `{name}` any of a named class, `x?` may be missing, `*` any one
word, `a_b` two words as one alternative, `^` and `$` the sentence's ends. Text is brought to one form first:
contractions written out, adverbs that change nothing left out; so "I'm simply not able" and "I am not able" are one
phrase. Thousands of spellings then cost one dictionary look-up a word. English only; knows nothing of refusals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

BEGIN, END = "^", "$"
_ANY = "*"
_WHOLE = {
    "can't": "cannot", "won't": "will not", "shan't": "shall not", "ain't": "am not", "it's": "it is",
    "that's": "that is", "there's": "there is", "here's": "here is", "what's": "what is", "let's": "let us",
    "he's": "he is", "she's": "she is", "im": "i am", "dont": "do not", "cant": "cannot", "wont": "will not",
    "couldnt": "could not",
}  # fmt: skip
_ENDINGS = (("n't", " not"), ("'m", " am"), ("'re", " are"), ("'ll", " will"), ("'ve", " have"), ("'d", " would"))
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
_FORMS = {word: tuple(long.split()) for word, long in _WHOLE.items()} | dict.fromkeys(_EMPTY_ADVERBS, ())
"""What a word is read as, where not as itself."""
_TOKEN = re.compile(r"[a-z][a-z']*|[0-9]+|[.!?:;](?=[\s\"*)])|\n| [–—-]+ ")


@dataclass(frozen=True, eq=False)
class _Rest:
    """What of a phrase is still to come: by each next word, the rest after it; `skipped`, the rest without the next
    part; at a phrase's end nothing but its family."""

    family: int | None = None
    words: tuple[tuple[str, _Rest], ...] = ()
    skipped: _Rest | None = None


@dataclass(frozen=True, eq=False)
class _Node:
    """Some phrases' rests taken together: the families of those that end here, and where the next word leads."""

    ends: frozenset[int]
    any_word: _Node | None
    words: dict[str, _Node]


class PhraseBook:
    """Phrases by family, compiled. `families` are numbered in the order given."""

    def __init__(self, phrases: Mapping[str, Sequence[str]], classes: Mapping[str, str]) -> None:
        """Compile. `classes` maps a class's name to its alternatives, separated by spaces.

        Raises: KeyError when a phrase names a class that there is not.
        """
        self.families = tuple(phrases)
        whole: list[_Rest] = []
        for number, family in enumerate(self.families):
            end = _Rest(number)
            whole += [_rest(phrase, classes, end) for phrase in phrases[family]]
        self._first = _node(frozenset(whole), {}).words

    def find(self, words: Sequence[str]) -> set[int]:
        """The numbers of the families of which a phrase stands in one sentence's words (as `sentences` gives them)."""
        found: set[int] = set()
        for start, word in enumerate(words, 1):
            if word in self._first:
                _walk(self._first[word], words, start, found)
        return found


def _rest(phrase: str, classes: Mapping[str, str], end: _Rest) -> _Rest:
    """A whole phrase, before its first word."""
    rest = end
    for part in reversed(phrase.split()):
        choices: list[tuple[str, _Rest]] = []
        for choice in part.removesuffix("?").split("|"):
            named = choice.startswith("{")
            for spelling in classes[choice[1:-1]].split() if named else [choice]:
                first, *more = spelling.split("_")
                if not all([first, *more]):
                    raise ValueError(f"got a phrase with an empty alternative: {phrase}")
                after = rest
                for word in reversed(more):
                    after = _Rest(words=((word, after),))
                choices.append((first, after))
        rest = _Rest(words=tuple(choices), skipped=rest if part.endswith("?") else None)
    return rest


def _node(rests: frozenset[_Rest], known: dict[frozenset[_Rest], _Node]) -> _Node:
    """The node of these rests; the same rests are the same node, however they were come by."""
    if rests in known:
        return known[rests]
    waiting, ends, after = list(rests), set(), dict[str, set[_Rest]]()
    for rest in waiting:
        if rest.skipped:
            waiting.append(rest.skipped)
        if rest.family is not None:
            ends.add(rest.family)
        for word, following in rest.words:
            after.setdefault(word, set()).add(following)
    nodes = {word: _node(frozenset(following), known) for word, following in after.items()}
    known[rests] = _Node(frozenset(ends), nodes.pop(_ANY, None), nodes)
    return known[rests]


def _walk(node: _Node, words: Sequence[str], at: int, found: set[int]) -> None:
    while True:
        if node.ends:
            found |= node.ends
        if at == len(words):
            return
        word = words[at]
        at += 1
        if node.any_word and word != END:
            _walk(node.any_word, words, at, found)
        if word not in node.words:
            return
        node = node.words[word]


def sentences(text: str, most: int) -> list[list[str]]:
    """The first `most` sentences (or lines, or clauses after a colon), each as its words between BEGIN and END."""
    found: list[list[str]] = []
    words: list[str] = [BEGIN]
    for token in _TOKEN.findall(text.lower().replace("’", "'")):
        if token in _FORMS:
            words += _FORMS[token]
        elif token.isalnum():
            if token == "not" and words[-1] == "can":
                words[-1] = "cannot"
            else:
                words.append(token)
        elif "'" in token:
            words += _long_form(token)
        elif len(words) > 1:
            found.append([*words, END])
            if len(found) == most:
                return found
            words = [BEGIN]
    if len(words) > 1:
        found.append([*words, END])
    return found


@lru_cache(maxsize=1024)
def _long_form(word: str) -> tuple[str, ...]:
    """A contraction by its ending; of any other word with an apostrophe, what stands before and after it."""
    for short, long in _ENDINGS:
        if word.endswith(short):
            return tuple((word.removesuffix(short) + long).split())
    return tuple(filter(None, word.split("'")))
