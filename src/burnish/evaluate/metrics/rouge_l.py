"""ROUGE-L: how much of the reference's words the reply has in the same order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from burnish.settings import PluginSettings

_WORD = re.compile(r"\w+")


class RougeLSettings(PluginSettings):
    """Nothing to set."""

    kind: Literal["rouge_l"] = "rouge_l"


class RougeL:
    """F1 of the longest common subsequence of words.

    Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), section 3.1, with beta = 1; words are
    runs of letters, digits and underscores, case-folded, unstemmed.
    """

    Settings = RougeLSettings
    higher_is_better = True
    needs_reply = True

    def __init__(self, settings: RougeLSettings) -> None:
        del settings

    def score(self, reply: str, reference: str) -> float | None:
        """Between 0 and 1; None when the reference has no word."""
        wanted, got = _WORD.findall(reference.casefold()), _WORD.findall(reply.casefold())
        if not wanted:
            return None
        common = longest_common(got, wanted)
        return 2 * common / (len(got) + len(wanted))

    def summary(self, mean: float) -> float:
        """The mean F1."""
        return mean


def longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence, with one bit a word of `right` in one long integer.

    Source: Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).
    """
    places: dict[str, int] = defaultdict(int)
    for index, word in enumerate(right):
        places[word] |= 1 << index
    full = (1 << len(right)) - 1
    row = full
    for word in left:
        hits = row & places[word] if word in places else 0
        row = ((row + hits) | (row - hits)) & full
    return len(right) - row.bit_count()
