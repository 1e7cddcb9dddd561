"""Reward functions of the user's: called in a process of their own, named when they fail."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from burnish.catalogue import settings_of
from burnish.errors import TrainError
from burnish.train.engine import Engine
from burnish.train.reward import Answer, Rewards
from burnish.train.rewards import function
from burnish.train.rewards.function import FunctionReward, FunctionSettings

ENGINE: Engine = None  # type: ignore[assignment]  # a function needs no model


def answers(*texts: str) -> list[Answer]:
    return [Answer("2 + 2?", text, "4", (1, 2), (3,), True) for text in texts]


def scored(folder: Path, code: str, given: Sequence[Answer], **settings: object) -> list[float | None]:
    (folder / "mine.py").write_text(code, encoding="utf-8")
    reward = FunctionReward(FunctionSettings.model_validate({"function": "mine.py:reward", **settings}))
    with reward.scoring(ENGINE, folder) as score:
        return list(score(given))


def test_it_is_given_the_texts_that_it_names(tmp_path: Path) -> None:
    code = "def reward(answer, reference):\n    return answer == reference\n"
    assert scored(tmp_path, code, answers("4", "5")) == [1.0, 0.0]
    code = "def reward(**given):\n    return len(given['prompt'])\n"
    assert scored(tmp_path, code, answers("4")) == [6.0]


def test_it_may_print_and_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WORTH = 3\n", encoding="utf-8")
    code = "from beside import WORTH\ndef reward(answer):\n    print('noise')\n    return WORTH\n"
    assert scored(tmp_path, code, answers("4")) == [3.0]


def test_none_means_that_it_cannot_tell(tmp_path: Path) -> None:
    assert scored(tmp_path, "def reward(answer):\n    return None\n", answers("4")) == [None]


def test_one_that_raises_is_named_with_the_answer_and_the_line(tmp_path: Path) -> None:
    code = "def reward(answer):\n    return 1 / (len(answer) - 2)\n"
    with pytest.raises(TrainError, match=r"'mine:reward': raised ZeroDivisionError.*mine.py:2.*'ab'") as caught:
        scored(tmp_path, code, answers("a", "ab"))
    assert caught.value.hint


@pytest.mark.parametrize(
    "body", ["while True: pass", "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')"], ids=["loop", "regular-expression"]
)
def test_one_that_hangs_is_stopped_and_named(tmp_path: Path, body: str) -> None:
    with pytest.raises(TrainError, match=r"'mine:reward': .*timeout_seconds 0.5: it hangs.*'slow'"):
        scored(tmp_path, f"def reward(answer):\n    {body}\n", answers("slow"), timeout_seconds=0.5)


def test_one_that_hangs_ends_by_itself_when_nobody_is_left_to_stop_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def reward(answer):\n    while True: pass\n", encoding="utf-8")
    command = [sys.executable, str(Path(function.__file__).with_name("call_function.py")), str(tmp_path), "mine"]
    with subprocess.Popen([*command, "reward", "0.2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b'{"answer": "x"}\n')
        process.stdin.flush()
        assert process.wait(30) == -signal.SIGALRM


def test_one_that_ends_its_process_is_named(tmp_path: Path) -> None:
    code = "import os\ndef reward(answer):\n    os._exit(3)\n"
    with pytest.raises(TrainError, match="its process ended with exit status 3"):
        scored(tmp_path, code, answers("4"))


@pytest.mark.parametrize(("returned", "shown"), [("float('nan')", "nan"), ("1e999", "inf")])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, returned: str, shown: str) -> None:
    (tmp_path / "mine.py").write_text(f"def reward(answer):\n    return {returned}\n", encoding="utf-8")
    rewards = Rewards([settings_of("reward", {"kind": "function", "function": "mine:reward", "name": "odd"})])  # type: ignore[list-item]
    with rewards.scoring(ENGINE, tmp_path) as score, pytest.raises(TrainError, match=f"reward 'odd': got {shown}"):
        score(answers("4"))


def test_one_that_is_not_there_is_told_before_training(tmp_path: Path) -> None:
    reward = FunctionReward(FunctionSettings(function="absent:reward"))
    with pytest.raises(TrainError, match=r"no file .*absent.py and no installed module"):
        reward.digest(tmp_path)
    with pytest.raises(TrainError, match="can't be loaded: AttributeError"):
        scored(tmp_path, "x = 1\n", answers("4"))


def test_the_digest_follows_the_code(tmp_path: Path) -> None:
    reward = FunctionReward(FunctionSettings(function="mine:reward"))
    found = set()
    for code in ("def reward(answer): return 1\n", "def reward(answer): return 2\n"):
        (tmp_path / "mine.py").write_text(code, encoding="utf-8")
        found.add(reward.digest(tmp_path))
    assert len(found) == 2


def test_several_rewards_are_a_weighted_sum_each_shown_apart(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def right(answer, reference): return answer == reference\ndef length(answer): return len(answer)\n"
        "def unsure(answer): return None if answer == '?' else 0\n",
        encoding="utf-8",
    )
    chosen = [
        {"kind": "function", "function": "mine:right", "name": "right", "weight": 2.0},
        {"kind": "function", "function": "mine:length", "weight": -0.5},
        {"kind": "function", "function": "mine:unsure"},
    ]
    rewards = Rewards([settings_of("reward", one) for one in chosen])  # type: ignore[misc]
    assert rewards.names == ("right", "function", "function_2")
    with rewards.scoring(ENGINE, tmp_path) as score:
        found = score(answers("4", "15", "?"))
    assert found.total_C[:2].tolist() == [1.5, -1.0]
    assert bool(found.total_C[2].isnan())
    assert found.parts["right"].tolist() == [1.0, 0.0, 0.0]
