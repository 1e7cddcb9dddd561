"""What every contender gets: the same rows in the same order, chosen once and written to a file.

    python -m contest.workload JOB.json WORKLOAD.json

Training rows are `steps` batches that length grouping would make, one from each stretch of lengths, their rows then
shuffled; so that on one and the same set of rows a plain order wastes as much on padding as it does on the whole data
(51% to 53% of what it computes, measured on 999 Alpaca rows with batches of 8), and a grouped one as little (2%). A
batch before them is for warming up. TRL's SFT is given the token ids and labels that Burnish's encoder made, so that
all count and learn from the same tokens; of preferences, only pairs that fit into the greatest length whole are taken.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.data.convert import read_source
from burnish.data.faults import Faults
from burnish.data.settings import SourceSettings
from burnish.models.chat_template import Encoder
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, PreferencePair, Record
from contest.plan import MAX_LENGTH, Job, read_job

_SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
_INSTRUCT = _SHARED / "instruct" / "alpaca_en_demo.json"
_PREFERENCE = _SHARED / "preference" / "dpo_en_demo.json"
_OWN = "builtin:ordinary_answers"
_GROUPED_BATCHES = 50  # how many batches' rows transformers' length grouping sorts at a time


@dataclass(frozen=True)
class Workload:
    """`rows` in the order in which they are trained, the warm-up first: messages for Burnish and for TRL's DPO, token
    ids and labels for TRL's SFT. `grouped` is the order in which batches hold rows of like lengths. `tokens` and
    `targets` count each row's real tokens. For generation `prompts` holds token ids."""

    data: str
    rows: tuple[dict[str, Any], ...]
    grouped: tuple[int, ...]
    tokens: tuple[int, ...]
    targets: tuple[int, ...]
    prompts: tuple[tuple[int, ...], ...]
    linear_parameters: int
    head_parameters: int


def read_workload(path: str) -> Workload:
    """The workload that was written."""
    value = json.loads(Path(path).read_text(encoding="utf-8"))
    return Workload(**{name: tuple(item) if isinstance(item, list) else item for name, item in value.items()})


def make(job: Job) -> Workload:
    """Choose the rows of a job."""
    from burnish.models.load import load_tokenizer, resolve_folder

    settings = ModelSettings(name=job.model)
    encoder = Encoder(load_tokenizer(settings), MAX_LENGTH)
    linear, head = _parameters(resolve_folder(settings))
    if job.kind == "dpo":
        data, records = _records(_PREFERENCE, _own_pairs)
        pairs = [_pair_row(encoder, record) for record in records if isinstance(record, PreferencePair)]
        rows = [row for row in pairs if row["longest"] < MAX_LENGTH]
    else:
        data, records = _records(_INSTRUCT, _own_chats)
        rows = [_chat_row(encoder, record) for record in records if isinstance(record, Conversation)]
    if job.kind == "generation":
        prompts = tuple(tuple(row["prompt_ids"]) for row in rows[: job.batch])
        return Workload(data, (), (), (), (), prompts, linear, head)
    chosen, grouped = _choose(rows, job)
    return Workload(
        data,
        tuple(chosen),
        tuple(grouped),
        tuple(row["tokens"] for row in chosen),
        tuple(row["targets"] for row in chosen),
        (),
        linear,
        head,
    )


def conversations() -> list[Conversation]:
    """The chats that benchmarks are made of."""
    return [record for record in _records(_INSTRUCT, _own_chats)[1] if isinstance(record, Conversation)]


def preferences() -> list[PreferencePair]:
    """The pairs that benchmarks are made of."""
    return [record for record in _records(_PREFERENCE, _own_pairs)[1] if isinstance(record, PreferencePair)]


def _choose(rows: Sequence[dict[str, Any]], job: Job) -> tuple[list[dict[str, Any]], list[int]]:
    size = job.batch
    rng = random.Random(job.seed)
    pool = sorted(rows[: min(len(rows) // size, _GROUPED_BATCHES) * size], key=lambda row: -row["tokens"])
    batches = [pool[start : start + size] for start in range(0, len(pool), size)]
    picked = [int((index + 0.5) * len(batches) / job.steps) for index in range(job.steps)]
    left = [batch for number, batch in enumerate(batches) if number not in picked]
    warmup = [row for batch in rng.sample(left, job.warmup) for row in batch]
    measured = [row for number in picked for row in batches[number]]
    order = rng.sample(range(len(measured)), len(measured))
    shuffled = [measured[index] for index in order]
    by_length = sorted(range(len(shuffled)), key=lambda index: order[index])
    grouped = [*range(len(warmup)), *(len(warmup) + index for index in by_length)]
    return [*warmup, *shuffled], grouped


def _records(path: Path, own: Callable[[], list[Record]]) -> tuple[str, list[Record]]:
    if not path.exists():
        return _OWN, own()
    return path.name, list(read_source(SourceSettings(path=str(path)), Path(), Faults()).records())


def _own_chats() -> list[Record]:
    return list(read_source(SourceSettings(path=_OWN), Path(), Faults()).records())


def _own_pairs() -> list[Record]:
    """Each prompt with its own answer preferred to the next one's."""
    chats = [record for record in _own_chats() if isinstance(record, Conversation)]
    return [
        PreferencePair(chat.prompt(), chat.messages[-1:], other.messages[-1:], chat.source)
        for chat, other in zip(chats, [*chats[1:], chats[0]], strict=True)
    ]


def _chat_row(encoder: Encoder, record: Conversation) -> dict[str, Any]:
    group = encoder.conversation(record).group
    assert group is not None, f"{record.source}: nothing to train on"
    (completion,) = group.completions
    labels = [token if weight else -100 for token, weight in zip(completion.tokens, completion.weights, strict=True)]
    return {
        "messages": _plain(record.messages),
        "input_ids": [*group.prompt, *completion.tokens],
        "labels": [-100] * len(group.prompt) + labels,
        "prompt_ids": list(encoder.prompt(record.prompt())),
        "tokens": group.num_tokens,
        "targets": sum(map(bool, completion.weights)),
    }


def _pair_row(encoder: Encoder, record: PreferencePair) -> dict[str, Any]:
    prompt = len(encoder.prompt(record.prompt))
    replies = [
        encoder.conversation(Conversation((*record.prompt, *reply), record.source)).group
        for reply in (record.chosen, record.rejected)
    ]
    # A prompt that was cut before its reply leaves no group: it is too long, and isn't taken.
    whole = [group.num_tokens if group else MAX_LENGTH for group in replies]
    lengths = [length - prompt for length in whole]
    return {
        "prompt": _plain(record.prompt),
        "chosen": _plain(record.chosen),
        "rejected": _plain(record.rejected),
        "longest": max(whole),
        "tokens": prompt + sum(lengths),
        "targets": sum(lengths),
    }


def _plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _parameters(folder: Path) -> tuple[int, int]:
    """Weights of the decoder's linear layers, and of the output head."""
    import torch
    from torch import nn
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    decoder = sum(part.weight.numel() for part in model.get_decoder().modules() if isinstance(part, nn.Linear))
    return decoder, model.get_output_embeddings().weight.numel()


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(asdict(make(read_job(sys.argv[1])))), encoding="utf-8")
