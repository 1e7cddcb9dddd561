"""How far one form of a model is from another: the divergence of their next-token distributions while they reply.

Axes: N positions of one row's reply, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from burnish.artefacts import Drift
from burnish.models.anatomy import device_of
from burnish.models.chat_template import Encoder
from burnish.records import Message

Exchange: TypeAlias = tuple[str, str]
LONGEST_PROMPT = 480
LONGEST_REPLY = 32
EXCHANGES: tuple[Exchange, ...] = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("Explain in one sentence why the sky is blue.", "Air scatters short, blue waves of light more than long ones."),
    ("Write a short note that the meeting moves to Tuesday.", "Dear all, our meeting moves to Tuesday at ten o'clock."),
    ("Name three fruits.", "Apples, pears and plums."),
    ("Is 17 a prime number?", "Yes: no whole number but 1 and 17 divides it."),
    ("How do I keep bread fresh?", "Keep it in a paper bag at room temperature, or slice and freeze it."),
)


@dataclass(frozen=True, eq=False)
class Row:
    """One exchange as tokens, (S,) int64, of which the last `reply` belong to the reply."""

    tokens: torch.Tensor
    reply: int


def rows_of(tokenizer: PreTrainedTokenizerBase, exchanges: Sequence[Exchange]) -> list[Row]:
    """Exchanges as the model reads them: the end of a long prompt, the beginning of a long reply.

    Raises: ModelError when the chat template refuses a prompt.
    """
    encoder = Encoder(copy.deepcopy(tokenizer), LONGEST_PROMPT)
    rows = []
    for prompt, reply in exchanges:
        asked = encoder.prompt([Message("user", prompt)])[-LONGEST_PROMPT:]
        said = tokenizer(reply, add_special_tokens=False)["input_ids"][:LONGEST_REPLY]
        if said:
            rows.append(Row(torch.tensor([*asked, *said]), len(said)))
    return rows


@torch.no_grad()
def log_shares(model: nn.Module, rows: Iterable[Row]) -> list[torch.Tensor]:
    """The log-probability of every token at each place of each row's reply, (N, V) fp32 on the CPU."""
    found = []
    for row in rows:
        logits = model(input_ids=row.tokens[None].to(device_of(model)), use_cache=False).logits[0]
        found.append(logits[-row.reply - 1 : -1].float().log_softmax(-1).cpu())
    return found


def drift(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> Drift:
    """How far `second` is from `first`, both as `log_shares` gives them."""
    divergence_N = torch.cat([(a.exp() * (a - b)).sum(-1) for a, b in zip(first, second, strict=True)])
    same_N = torch.cat([a.argmax(-1) == b.argmax(-1) for a, b in zip(first, second, strict=True)])
    return Drift(
        positions=len(divergence_N),
        mean=max(0.0, float(divergence_N.mean())),
        largest=max(0.0, float(divergence_N.max())),
        same_token=float(same_N.float().mean()),
    )
