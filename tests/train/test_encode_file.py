"""Encoding a file: the same rows whether one process does it, several do, or the cache has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burnish.artefacts import Losses
from burnish.data.store import to_line
from burnish.errors import DataError, TrainError
from burnish.models.chat_template import Encoder
from burnish.models.load import load_tokenizer
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, PreferencePair, Source
from burnish.train import encode_file as module
from burnish.train import workers
from burnish.train.encode_file import encode_file
from burnish.train.encoded_cache import EncodedCache, encoding_key
from burnish.train.encoding import PART, Encoding
from burnish.train.methods.sft import SFT, SFTSettings
from burnish.train.workers import encode_in_parallel

from .conftest import chats

ROWS = 3 * PART + 7
QUARANTINED = ("chats.jsonl:2", f"chats.jsonl:{PART + 5}")


@pytest.fixture
def encoder(tiny_model_folder: Path) -> Encoder:
    return Encoder(load_tokenizer(ModelSettings(name=str(tiny_model_folder))), 48)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Chats, one of which is too long and one hopelessly so."""
    long = Conversation((Message("user", "a"), Message("assistant", "yes " * 200)), Source("long.jsonl", 1))
    hopeless = Conversation((Message("user", "why " * 200), Message("assistant", "no")), Source("long.jsonl", 2))
    path = tmp_path / "train.jsonl"
    path.write_text("".join(to_line(record) + "\n" for record in [*chats(ROWS - 2), long, hopeless]))
    return path


@pytest.fixture
def method() -> SFT:
    return SFT(SFTSettings())


def same(first: Encoding, second: Encoding) -> bool:
    rows = len(first.rows) == len(second.rows) and all(
        first.rows[index] == second.rows[index] for index in range(len(first.rows))
    )
    numbers = (first.rows.num_tokens, first.rows.num_targets, first.rows.longest)
    return (
        rows
        and numbers == (second.rows.num_tokens, second.rows.num_targets, second.rows.longest)
        and (first.losses, first.reasons, first.sample) == (second.losses, second.reasons, second.sample)
    )


def test_several_processes_give_the_rows_of_one(file: Path, method: SFT, encoder: Encoder, monkeypatch: Any) -> None:
    alone = encode_file(file, ROWS, QUARANTINED, method, encoder, None)
    monkeypatch.setattr(module, "WORTH_A_WORKER", 1)
    monkeypatch.setattr(module, "num_cores", lambda: 2)
    together = encode_file(file, ROWS, QUARANTINED, method, encoder, None)
    assert same(alone, together)
    assert alone.losses == Losses(
        rows_seen=ROWS,
        rows_trained=ROWS - 3,
        rows_quarantined=2,
        rows_truncated=1,
        rows_dropped=1,
        tokens_truncated=alone.losses.tokens_truncated,
    )


def test_a_worker_hands_on_the_fault_of_a_row(file: Path, method: SFT, encoder: Encoder) -> None:
    turn = (Message("user", "a"),)
    with file.open("a") as lines:
        lines.write(to_line(PreferencePair(turn, turn, turn, Source("pairs.jsonl", 7))) + "\n")
    with pytest.raises(DataError, match=r"pairs\.jsonl:7") as caught:
        list(encode_in_parallel(file, frozenset(), method, encoder, 2))
    assert "preferences need another method" in caught.value.hint


def test_a_worker_that_dies_is_told(file: Path, method: SFT, encoder: Encoder, monkeypatch: Any) -> None:
    monkeypatch.setattr(workers.sys, "executable", "/bin/false")
    with pytest.raises(TrainError, match="a worker process ended with code 1 before its work was done"):
        list(encode_in_parallel(file, frozenset(), method, encoder, 2))


def test_a_method_that_cannot_be_sent_is_used_here(file: Path, encoder: Encoder, method: SFT, monkeypatch: Any) -> None:
    class Local(SFT):
        pass

    monkeypatch.setattr(module, "WORTH_A_WORKER", 1)
    monkeypatch.setattr(module, "num_cores", lambda: 2)
    assert same(
        encode_file(file, ROWS, (), Local(SFTSettings()), encoder, None),
        encode_file(file, ROWS, (), method, encoder, None),
    )


@pytest.fixture
def kept(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "WORTH_KEEPING", 0)


def _refuse(*_: object, **__: object) -> Iterator[object]:
    raise AssertionError("rows are encoded again")


@pytest.mark.usefixtures("kept")
def test_what_was_encoded_once_is_not_encoded_again(
    file: Path, method: SFT, encoder: Encoder, tmp_path: Path, monkeypatch: Any
) -> None:
    cache = EncodedCache(tmp_path / "cache")
    first = encode_file(file, ROWS, QUARANTINED, method, encoder, cache)
    monkeypatch.setattr(SFT, "encode", _refuse)
    assert same(first, encode_file(file, ROWS, QUARANTINED, method, encoder, cache))


def test_the_key_follows_all_that_rows_follow_from(file: Path, method: SFT, encoder: Encoder, tmp_path: Path) -> None:
    class Other(SFT):
        pass

    def key(path: Path = file, left_out: tuple[str, ...] = (), how: SFT = method, by: Encoder = encoder) -> str:
        return encoding_key(path, left_out, how, by)

    changed = tmp_path / "changed.jsonl"
    changed.write_text(file.read_text().replace("yes", "Yes", 1))
    shorter = Encoder(encoder.tokenizer, 47)
    keys = [key(), key(changed), key(left_out=QUARANTINED), key(how=Other(SFTSettings())), key(by=shorter)]
    template = encoder.tokenizer.chat_template
    encoder.tokenizer.chat_template = template + " "
    keys.append(key())
    encoder.tokenizer.chat_template = template
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("name", ["tokens.npy", "weights.npy", "first_pieces.npy", "rows.json", "encoding.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_entry_is_made_anew(
    name: str, damage: str, file: Path, method: SFT, encoder: Encoder, tmp_path: Path, capsys: Any
) -> None:
    cache = EncodedCache(tmp_path / "cache")
    first = encode_file(file, ROWS, (), method, encoder, cache)
    (broken,) = (tmp_path / "cache").glob(f"*/{name}")
    if damage == "gone":
        broken.unlink()
    else:
        broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    assert same(first, encode_file(file, ROWS, (), method, encoder, cache))
    assert "damaged" in capsys.readouterr().err
    assert cache.get(encoding_key(file, (), method, encoder)) is not None


def test_the_oldest_entries_make_room(file: Path, method: SFT, encoder: Encoder, tmp_path: Path) -> None:
    encoding = encode_file(file, ROWS, (), method, encoder, None)
    roomy = EncodedCache(tmp_path / "cache")
    roomy.put("a", encoding)
    size = sum(path.stat().st_size for path in (tmp_path / "cache" / "a").iterdir())
    tight = EncodedCache(tmp_path / "cache", most_bytes=2 * size)
    tight.put("b", encoding)
    assert tight.get("a") is not None  # used last, so that b is the oldest now
    tight.put("c", encoding)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["a", "c"]
    EncodedCache(tmp_path / "cache", most_bytes=size - 1).put("d", encoding)
    assert not list((tmp_path / "cache").iterdir())


def test_a_cache_that_cannot_be_written_is_no_fault(
    file: Path, method: SFT, encoder: Encoder, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "cache").write_text("a file")
    EncodedCache(tmp_path / "cache").put("a", encode_file(file, ROWS, (), method, encoder, None))
    assert "can't be kept" in " ".join(capsys.readouterr().err.split())
