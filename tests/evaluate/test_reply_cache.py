"""The reply cache: kept, shared, and never half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.evaluate.reply_cache import Reply, ReplyCache, reply_key, well_formed

HOSTILE = ["", "\x00 nul \x00", "\ud800 alone", "</script>\u202e'; DROP TABLE replies;--", "é" * 5000, "\r\n\u2028"]


def test_what_is_put_comes_back_in_another_process_s_cache(tmp_path: Path) -> None:
    with ReplyCache(tmp_path) as cache:
        cache.put((str(i), Reply(text, "length")) for i, text in enumerate(HOSTILE))
    with ReplyCache(tmp_path) as again:
        found = again.get([str(i) for i in range(len(HOSTILE) + 3)])
    assert found == {str(i): Reply(well_formed(text), "length") for i, text in enumerate(HOSTILE)}


def test_two_at_once(tmp_path: Path) -> None:
    with ReplyCache(tmp_path) as one, ReplyCache(tmp_path) as other:
        for index in range(40):
            (one, other)[index % 2].put([(f"k{index}", Reply(str(index), "stop"))])
        keys = [f"k{index}" for index in range(40)]
        assert one.get(keys) == other.get(keys)
        assert len(one.get(keys)) == 40


def test_many_keys_in_one_question(tmp_path: Path) -> None:
    with ReplyCache(tmp_path) as cache:
        cache.put((str(i), Reply(str(i), "stop")) for i in range(1200))
        assert len(cache.get([str(i) for i in range(2000)])) == 1200


def test_a_failed_batch_leaves_nothing(tmp_path: Path) -> None:
    def batch() -> list[tuple[str, Reply]]:
        return [("a", Reply("1", "stop")), ("b", Reply(None, "stop"))]  # type: ignore[arg-type]

    with ReplyCache(tmp_path) as cache:
        with pytest.raises(AttributeError):
            cache.put(batch())
        assert cache.get(["a", "b"]) == {}


def test_a_killed_writer_leaves_whole_entries(tmp_path: Path) -> None:
    script = (
        "import sys, itertools\nfrom pathlib import Path\n"
        "from burnish.evaluate.reply_cache import Reply, ReplyCache\n"
        f"cache = ReplyCache(Path({str(tmp_path)!r}))\n"
        "for i in itertools.count():\n"
        "    cache.put([(f'{i}-{j}', Reply('x' * 1000, 'stop')) for j in range(5)])\n"
        "    print(i, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = [int(writer.stdout.readline()) for _ in range(5)][-1]
        os.kill(writer.pid, signal.SIGKILL)
    with ReplyCache(tmp_path) as cache:
        found = cache.get([f"{i}-{j}" for i in range(last + 1) for j in range(5)])
        assert len(found) == (last + 1) * 5
        assert all(reply.text == "x" * 1000 for reply in found.values())


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "replies.sqlite").write_bytes(b"no database at all" * 100)
    with ReplyCache(tmp_path) as cache:
        cache.put([("a", Reply("1", "stop"))])
        assert cache.get(["a"]) == {"a": Reply("1", "stop")}
    assert (tmp_path / "replies.damaged").exists()


def test_the_key_is_of_everything_that_a_reply_depends_on() -> None:
    one = reply_key("model", (1, 2), {"max_new_tokens": 8, "temperature": 0.0})
    assert one == reply_key("model", [1, 2], {"temperature": 0.0, "max_new_tokens": 8})
    others = {
        reply_key("other", (1, 2), {"max_new_tokens": 8, "temperature": 0.0}),
        reply_key("model", (1, 2, 3), {"max_new_tokens": 8, "temperature": 0.0}),
        reply_key("model", (1, 2), {"max_new_tokens": 9, "temperature": 0.0}),
    }
    assert len(others | {one}) == 4
