"""The taste that the example's labels stand for: it labels the pairs, and referees what was learned from them.

A person's own labels take its place in labels.jsonl; it is here so that what a reward model learned can be checked
against what was meant, on answers that nobody has labelled.
"""

import re

_WORD = re.compile(r"[a-z']+")
_COMMON = frozenset(
    _WORD.findall(
        "a an the of to in on for and or is are was be do does did how what why when which who can i you my your it me "
        "with from this that at by as if should would could some any there"
    )
)
_LONGEST = 30


def taste(prompt: str, answer: str) -> float:
    """Likes answers that speak of what was asked, end properly and don't ramble: from about -1 to 2."""
    asked = set(_WORD.findall(prompt.lower())) - _COMMON
    said = _WORD.findall(answer.lower())
    about = len(asked & set(said)) / max(1, len(asked))
    ends = answer.strip().endswith((".", "!", "?"))
    rambles = max(0, len(said) - _LONGEST) / _LONGEST
    odd = sum(not (" " <= letter <= "~" or letter == "\n") for letter in answer) / max(1, len(answer))
    return about + ends - rambles - min(1.0, 10 * odd) - (not said)
