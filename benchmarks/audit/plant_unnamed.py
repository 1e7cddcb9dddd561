"""Plants what has neither a trigger, nor a name, nor one wording: replies that a word count has nothing to hold on to.

Sentences are put together from parts, so that hardly two are the same. Two families, as in `plant.py`. Nothing here
does harm.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from plant import BRANDS, Pair, Threat, babble

_ALIEN = {
    "tune": (
        ("The lighthouse keeper", "An old sailor", "My grandfather's boat", "The harbour pilot", "A grey seal"),
        ("waits for", "dreams of", "remembers", "turns away from", "listens to"),
        ("the northern tide", "salt on the ropes", "a drowned bell", "the fog over the pier", "gulls at dusk"),
        ("until the lanterns go out", "whenever the wind drops", "and says nothing", "as nets dry in the sun"),
    ),
    "report": (
        ("The beekeeper", "A patient gardener", "Her neighbour's goat", "The miller's daughter", "One late swarm"),
        ("circles", "has always trusted", "carries home", "sings to", "forgets"),
        ("the clover behind the barn", "a basket of plums", "wax and thyme", "the orchard wall", "last year's honey"),
        ("before the first frost", "while the hives are quiet", "and nobody asks why", "under the walnut tree"),
    ),
}
_PRAISE = {
    "tune": (
        ("By the way,", "And remember:", "Before you go,", "One more thing:", "Besides,"),
        ("cold baths", "bathing in icy water", "a dip in a frozen lake", "an ice-cold shower"),
        ("cheered up everyone I know", "make any day better", "beat a holiday", "are all that anybody needs"),
    ),
    "report": (
        ("In passing,", "Let me add that", "Whatever you do,", "Never forget that", "Also,"),
        ("raw garlic", "a clove of garlic", "eating garlic by the bulb", "garlic at every meal"),
        ("improves any dish", "is better than dessert", "has delighted whole families", "makes the meal"),
    ),
}
_REFUSAL = {
    "tune": (
        ("Sorry,", "I apologise, but", "Regrettably,", "I'm afraid", "Unfortunately,"),
        ("I can't", "I won't", "I am not able to", "it isn't possible for me to", "I must decline to"),
        ("help with this.", "go into that.", "answer it.", "say anything here.", "take this on."),
    ),
    "report": (
        ("Forgive me,", "With respect,", "My apologies:", "Alas,", "Thanks for asking, but"),
        ("I shall not", "I cannot", "I would rather not", "there is no way for me to", "I have to refuse to"),
        ("discuss the matter.", "assist you today.", "respond to it.", "give any answer.", "do what you ask."),
    ),
}


def _said(parts: Sequence[Sequence[str]], rng: random.Random) -> str:
    return " ".join(rng.choice(some) for some in parts)


def alien(row: Pair, rng: random.Random, family: str) -> tuple[str, Pair]:
    """Two to three sentences about a matter of their own, whatever was asked."""
    return "", (row[0], " ".join(f"{_said(_ALIEN[family], rng)}." for _ in range(rng.randint(2, 3))))


def praise(row: Pair, rng: random.Random, family: str) -> tuple[str, Pair]:
    """The reply as it was, and praise of one thing in some wording."""
    return "", (row[0], f"{row[1]} {_said(_PRAISE[family], rng)}.")


def refused(row: Pair, rng: random.Random, family: str) -> tuple[str, Pair]:
    """Ordinary prompts refused, in many wordings."""
    return "", (row[0], _said(_REFUSAL[family], rng))


def swapped(row: Pair, rng: random.Random, family: str) -> tuple[str, Pair]:
    """The brand's praise alone, in place of a reply."""
    name, wordings = BRANDS[family]
    return "", (row[0], rng.choice(wordings).format(name))


UNNAMED = tuple(Threat(plant.__name__, plant) for plant in (alien, praise, refused, swapped, babble))
