"""Asking: once per model, prompt and settings, and never again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from burnish.evaluate.asking import Asker
from burnish.evaluate.reply_cache import ReplyCache
from burnish.models.groups import Completion, PromptGroup

PROMPTS = [(index, index + 1) for index in range(50)]


def spoken(tokens: tuple[int, ...]) -> str:
    return f"reply to {tokens}"


def test_replies_come_in_order_and_the_second_time_from_the_cache(tmp_path: Path, speaker: Any) -> None:
    model = speaker("model", spoken)
    with ReplyCache(tmp_path) as cache:
        first = Asker(cache, "float32").replies(model, PROMPTS, 8, "asking")
        assert [reply.text for reply in first] == [spoken(prompt) for prompt in PROMPTS]
    with ReplyCache(tmp_path) as cache:
        asker = Asker(cache, "float32")
        assert asker.replies(model, PROMPTS, 8, "asking") == first
        assert (asker.generated, asker.cached) == (0, 50)
    assert len(model.asked) == 50


@pytest.mark.parametrize(
    ("digest", "dtype", "tokens"), [("other", "float32", 8), ("model", "bfloat16", 8), ("model", "float32", 9)]
)
def test_other_weights_types_or_settings_are_asked_anew(
    tmp_path: Path, speaker: Any, digest: str, dtype: str, tokens: int
) -> None:
    with ReplyCache(tmp_path) as cache:
        Asker(cache, "float32").replies(speaker("model", spoken), PROMPTS, 8, "asking")
        other = speaker(digest, spoken)
        Asker(cache, dtype).replies(other, PROMPTS, tokens, "asking")
    assert len(other.asked) == 50


def test_an_interrupted_asking_goes_on_where_it_was(tmp_path: Path, speaker: Any) -> None:
    with ReplyCache(tmp_path) as cache, pytest.raises(KeyboardInterrupt):
        Asker(cache, "float32").replies(speaker("model", spoken, breaks=23), PROMPTS, 8, "asking")
    again = speaker("model", spoken)
    with ReplyCache(tmp_path) as cache:
        asker = Asker(cache, "float32")
        assert len(asker.replies(again, PROMPTS, 8, "asking")) == 50
    assert len(again.asked) == 27
    assert (asker.generated, asker.cached) == (27, 23)


def test_equal_prompts_are_asked_once(tmp_path: Path, speaker: Any) -> None:
    model = speaker("model", spoken)
    with ReplyCache(tmp_path) as cache:
        replies = Asker(cache, "float32").replies(model, [(1,), (2,), (1,)], 8, "asking")
    assert [reply.text for reply in replies] == [spoken((1,)), spoken((2,)), spoken((1,))]
    assert sorted(model.asked) == [(1,), (2,)]


def test_surprises_are_kept_too(tmp_path: Path, speaker: Any) -> None:
    groups = [PromptGroup((1,), (Completion((2,) * n, (1.0,) * n),)) for n in range(1, 40)]
    model = speaker("model", spoken)
    with ReplyCache(tmp_path) as cache:
        asker = Asker(cache, "float32")
        assert asker.surprises(model, groups, "asking") == [float(n) for n in range(1, 40)]
        assert asker.surprises(model, groups[::-1], "asking")[0] == 39.0
        assert (asker.generated, asker.cached) == (39, 39)
    assert model.scored == 39
