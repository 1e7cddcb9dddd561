"""What is known of a model survives the disk, and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from burnish.errors import TrainError
from burnish.logs import Bar
from burnish.models.groups import Completion, PromptGroup
from burnish.train.known_targets import KnownTargets


def group(*tokens: int, weights: tuple[float, ...] | None = None, prompt: tuple[int, ...] = (1, 2)) -> PromptGroup:
    return PromptGroup(prompt, (Completion(tokens, weights or (1.0,) * len(tokens)),))


GROUPS = [group(5, 6, 7), group(8), group(9, 9)]
LOGPROBS = torch.tensor([-1.0, -2.0, -3.0, -4.0, -5.0, -6.0])


def filled(path: Path, key: str = "key") -> KnownTargets:
    known = KnownTargets(path, key)
    digests = [known.digest(one) for one in GROUPS]
    known.add(digests[:2], [3, 1], LOGPROBS[:4])
    known.add(digests[2:], [2], LOGPROBS[4:])
    return known


def test_they_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    filled(tmp_path / "r").save()
    known = KnownTargets(tmp_path / "r", "key")
    assert not known.lacks(GROUPS)
    assert known.of([GROUPS[2], GROUPS[0]]).tolist() == [-5.0, -6.0, -1.0, -2.0, -3.0]
    assert known.of([]).tolist() == []


def test_more_is_added_after_what_was_read(tmp_path: Path) -> None:
    filled(tmp_path / "r").save()
    known = KnownTargets(tmp_path / "r", "key")
    other = group(4)
    assert known.lacks([other])
    known.add([known.digest(other)], [1], torch.tensor([-7.0]))
    known.save()
    assert KnownTargets(tmp_path / "r", "key").of([other, GROUPS[1]]).tolist() == [-7.0, -4.0]


def test_a_target_may_have_many_numbers(tmp_path: Path) -> None:
    known = KnownTargets(tmp_path / "r", "key")
    digests = [known.digest(one) for one in GROUPS]
    numbers = torch.arange(36.0).view(6, 2, 3)
    known.add(digests[:1], [3], numbers[:3])
    known.add(digests[1:], [1, 2], numbers[3:])
    known.save()
    again = KnownTargets(tmp_path / "r", "key").of([GROUPS[1], GROUPS[0]])
    assert torch.equal(again, torch.cat([numbers[3:4], numbers[:3]]))


def test_each_group_is_computed_once_in_chunks_that_a_resumed_run_has_too(tmp_path: Path) -> None:
    asked: list[list[PromptGroup]] = []

    def compute(groups: Sequence[PromptGroup], bar: Bar) -> torch.Tensor:
        asked.append(list(groups))
        return torch.zeros(sum(one.num_targets for one in groups))

    known = KnownTargets(tmp_path / "r", "key")
    known.learn([GROUPS[0], GROUPS[1], GROUPS[0]], 3, compute)
    KnownTargets(tmp_path / "r", "key").learn(GROUPS, 3, compute)
    assert asked == [GROUPS[:2], GROUPS[2:]]


def test_another_models_are_left_aside(tmp_path: Path) -> None:
    filled(tmp_path / "r").save()
    assert KnownTargets(tmp_path / "r", "another").lacks(GROUPS[:1])


def test_a_damaged_file_is_said_and_left_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_bytes(b"torn")
    assert KnownTargets(tmp_path / "r", "key").lacks(GROUPS[:1])
    assert "computed again" in capsys.readouterr().err.replace("\n", " ")


def test_a_group_is_known_by_all_that_its_targets_depend_on() -> None:
    others = [
        group(5, 6, 7),
        group(5, 6, 8),
        group(5, 6, 7, prompt=(1, 3)),
        group(6, 7, prompt=(1, 2, 5)),
        group(5, 6, 7, weights=(1.0, 0.0, 1.0)),
        PromptGroup((1, 2), (*group(5, 6).completions, *group(7).completions)),
    ]
    digests = [KnownTargets.digest(one) for one in others]
    assert digests[0] == KnownTargets.digest(GROUPS[0])
    assert len(set(digests)) == len(others)


def test_a_full_disk_stops_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    known = filled(tmp_path / "r")
    monkeypatch.setattr("burnish.train.known_targets.save_file", full)
    with pytest.raises(TrainError, match="Read-only file system"):
        known.save()
    assert not (tmp_path / "r").exists()
