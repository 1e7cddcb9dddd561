"""One measurement of `benchmarks/growth.py`, in a process of its own; the result is printed as JSON.

python -m contest.growth_side sequence TOKENS MODEL
python -m contest.growth_side read|encode|encode-again|encode-alone ROWS MODEL FOLDER
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burnish.data.settings import DataSettings
from burnish.data.stage import TRAIN, prepare
from burnish.run_folder import RunFolder
from contest.memory import peak_bytes
from contest.workload import conversations

_MAX_LENGTH = 1024
_SEED = 0
_FOR_THE_TEMPLATE = 64


def sequence(tokens: int, model: str) -> dict[str, object]:
    """Train a LoRA on rows of so many tokens, three quarters of them prompt; two rows a step up to 2,048 tokens, one
    beyond. One step of two is measured."""
    from burnish.models.load import load_tokenizer
    from burnish.models.settings import ModelSettings
    from burnish.train.metrics_log import read_metrics
    from burnish.train.settings import TrainSettings
    from burnish.train.stage import train

    rows = 2 if tokens <= 2048 else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "rows.jsonl", _long_chats(2 * rows, tokens, load_tokenizer(ModelSettings(name=model))))
        run = RunFolder(folder / "run")
        dataset = prepare(_data(), run, folder, _SEED)
        settings = TrainSettings.model_validate({"batch_size": rows, "max_length": tokens, "checkpoint_every": 1000})
        train(settings, ModelSettings(name=model), dataset, (), run, _SEED, False)
        steps = read_metrics(run.file("train/metrics.jsonl"))
    return {"rate": steps[-1]["tokens_per_second"], "tokens": steps[-1]["tokens"], "peak_bytes": peak_bytes()}


def read(rows: int, folder: Path) -> dict[str, object]:
    """Read and convert so many rows of a JSON Lines file and write them prepared, as the data stage does."""
    _write(folder / "rows.jsonl", _chats(rows))
    began = time.perf_counter()
    dataset = prepare(_data(), RunFolder(folder / "run"), folder, _SEED)
    assert dataset.num_train == rows
    return {"rate": rows / (time.perf_counter() - began), "peak_bytes": peak_bytes()}


def encode(rows: int, model: str, folder: Path, *, alone: bool) -> dict[str, object]:
    """Encode the prepared rows as the training stage does: with its cache and its workers; or `alone`, in one process
    and without a cache."""
    from burnish.data.store import read_records
    from burnish.models.chat_template import Encoder
    from burnish.models.load import load_tokenizer
    from burnish.models.settings import ModelSettings
    from burnish.train.encode_file import encode_file
    from burnish.train.encoded_cache import EncodedCache
    from burnish.train.encoding import encode_rows
    from burnish.train.methods.sft import SFT, SFTSettings

    encoder = Encoder(load_tokenizer(ModelSettings(name=model)), _MAX_LENGTH)
    method, path = SFT(SFTSettings()), folder / "run" / TRAIN
    began = time.perf_counter()
    if alone:
        encoding = encode_rows(read_records(path), rows, (), method, encoder)
    else:
        encoding = encode_file(path, rows, (), method, encoder, EncodedCache(folder / "cache"))
    return {
        "rate": rows / (time.perf_counter() - began),
        "tokens": encoding.rows.num_tokens,
        "peak_bytes": peak_bytes(),
    }


def _data() -> DataSettings:
    return DataSettings.model_validate({"train": "rows.jsonl", "heldout_fraction": 0.0})


def _chats(count: int) -> Iterator[tuple[str, str]]:
    """Chats of the benchmark's data, over and over, each made different by a number."""
    found = [(chat.prompt()[-1].content, chat.reply()) for chat in conversations()]
    for number, (prompt, reply) in zip(range(count), itertools.cycle(found), strict=False):
        yield f"{prompt} ({number})", reply


def _long_chats(count: int, tokens: int, tokenizer: Any) -> Iterator[tuple[str, str]]:
    """Chats of nearly so many tokens, a few left for what the chat template adds."""
    text = "\n\n".join(reply for _, reply in _chats(1000))
    ids = tokenizer(text)["input_ids"]
    length, prompt = tokens - _FOR_THE_TEMPLATE, 3 * tokens // 4
    for number in range(count):
        start = number * length % (len(ids) - length)
        yield tokenizer.decode(ids[start : start + prompt]), tokenizer.decode(ids[start + prompt : start + length])


def _write(path: Path, chats: Iterator[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for prompt, reply in chats:
            file.write(json.dumps({"prompt": prompt, "completion": reply}) + "\n")


if __name__ == "__main__":
    what, size = sys.argv[1], int(sys.argv[2])
    if what == "sequence":
        found = sequence(size, sys.argv[3])
    elif what == "read":
        found = read(size, Path(sys.argv[4]))
    else:
        found = encode(size, sys.argv[3], Path(sys.argv[4]), alone=what == "encode-alone")
    print(json.dumps(found))
