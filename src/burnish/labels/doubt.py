"""How unsure a reward model is of pairs: those that it can't tell apart are worth most to a person's time.

Axes: C completions, two a pair.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from burnish.labels.pair import Pair
from burnish.labels.sampling import Doubt
from burnish.logs import say
from burnish.models.chat_template import Encoder
from burnish.models.device import autocast, products
from burnish.models.groups import PromptGroup
from burnish.models.packing import arrange, lay_out
from burnish.models.reward_head import completion_scores, load_reward_model, reward_model_folder
from burnish.models.settings import ModelSettings
from burnish.records import Message, PreferencePair, Source

_TOKENS = 4096  # of one packed row


def reward_doubt(name: str, like: ModelSettings) -> Doubt:
    """A measure of doubt by the reward model `name` (a run's folder or an adapter's), which is loaded when first asked,
    in the form that `like` says. A pair that it can't read has an infinite difference, so that it comes last.

    Raises: ModelError when there is no reward model.
    """
    folder = reward_model_folder(name)
    return lambda pairs: _differences(folder, like, pairs)


@torch.no_grad()
def _differences(folder: Path, like: ModelSettings, pairs: Sequence[Pair]) -> list[float]:
    say(f"loading {folder}")
    loaded, head = load_reward_model(like.made_into(folder))
    length = int(getattr(loaded.model.config, "max_position_embeddings", 0)) or sys.maxsize
    encoder = Encoder(loaded.tokenizer, length)
    groups = [encoder.pair(_as_record(pair)).group for pair in pairs]
    differences = [math.inf] * len(pairs)
    places = [place for place, group in enumerate(groups) if group is not None]
    readable: list[PromptGroup] = [group for group in groups if group is not None]
    with products(loaded.products), autocast(loaded.device, loaded.dtype):
        for row in arrange(readable, _TOKENS):
            scores_C = completion_scores(loaded.model, head, lay_out([readable[index] for index in row])).cpu()
            for index, difference in zip(row, (scores_C[0::2] - scores_C[1::2]).tolist(), strict=True):
                differences[places[index]] = difference
    return differences


def _as_record(pair: Pair) -> PreferencePair:
    first, second = ((Message("assistant", answer.text),) for answer in pair.answers)
    prompt = tuple(Message(turn.role, turn.content) for turn in pair.prompt)
    return PreferencePair(prompt, first, second, Source(pair.origin or "pair", 0))
