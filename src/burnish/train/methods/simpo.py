"""Simple preference optimisation: the chosen reply's mean log-probability a token is pushed above the rejected one's by
a margin; no reference, and no gain from mere length.

Source: Meng et al., "SimPO: Simple Preference Optimization with a Reference-Free Reward", 2024, equation 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch.nn.functional import logsigmoid

from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Record
from burnish.settings import PluginSettings
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Role
from burnish.train.pairs import encode_pair, mean_logprobs, reward_metrics, sides


class SimPOSettings(PluginSettings):
    """`beta` scales the rewards; `gamma` is by how much the chosen one's is to exceed the other (half of beta in the
    paper's advice). `label_smoothing` is the share of pairs taken to be the wrong way round."""

    kind: Literal["simpo"] = "simpo"
    beta: float = Field(default=2.0, gt=0.0, le=100.0)
    gamma: float = Field(default=1.0, ge=0.0, le=100.0)
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)


class SimPO:
    """Learns from pairs which of two replies is likelier to be wanted, token for token."""

    Settings = SimPOSettings

    def __init__(self, settings: SimPOSettings) -> None:
        self.settings = settings

    @property
    def roles(self) -> frozenset[Role]:
        """None: there is no reference."""
        return frozenset()

    @property
    def learning_rate_share(self) -> float:
        """A fraction: nothing holds the policy back but the learning rate."""
        return 0.25

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The pair as one group.

        Raises: DataError when the record isn't a pair.
        """
        return encode_pair(record, encoder, "simpo")

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """None: there is no reference."""
        return ()

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows as they are."""
        return [Batch(rows)]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The losses of the pairs, summed, and the number of pairs."""
        rewards_C = self.settings.beta * mean_logprobs(scored)
        chosen_P, rejected_P = sides(rewards_C)
        margins_P = chosen_P - rejected_P - self.settings.gamma
        wrong = self.settings.label_smoothing
        losses_P = -(1 - wrong) * logsigmoid(margins_P) - wrong * logsigmoid(-margins_P)
        return Loss(losses_P.sum(), float(len(losses_P)), reward_metrics(rewards_C))
