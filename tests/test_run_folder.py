"""The run folder: whole files, contained paths, a manifest whose entry means completion."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from burnish.artefacts import Losses
from burnish.errors import RunFolderError
from burnish.run_folder import RunFolder, file_digest, written_whole


def test_a_failed_write_leaves_what_was_there_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with written_whole(target) as temporary:
            temporary.write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_with_a_hint_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match="no space left") as caught:
        RunFolder(tmp_path).write_text("a.txt", "text")
    assert "--resume" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/etc/passwd"])
def test_paths_never_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="outside"):
        RunFolder(tmp_path / "run").write_text(name, "x")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    (run.path / "link").symlink_to(tmp_path)
    with pytest.raises(RunFolderError, match="outside"):
        run.write_text("link/out.txt", "x")


def test_an_artefact_comes_back_equal_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    losses = Losses(rows_seen=3, rows_trained=2, rows_truncated=1)
    run.save("a.json", losses)
    assert run.load("a.json", Losses) == losses
    run.write_text("a.json", '{"rows_seen": "many"}')
    with pytest.raises(RunFolderError, match="not a valid Losses"):
        run.load("a.json", Losses)
    with pytest.raises(RunFolderError, match="missing"):
        run.load("b.json", Losses)


def test_a_stage_is_done_only_with_the_same_key_and_untouched_outputs(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    output = run.write_text("x/out.txt", "1")
    assert not run.is_done("x", "key")
    run.finish("x", "key", [output], 0.1)
    assert run.is_done("x", "key")
    assert not run.is_done("x", "other key")
    output.write_text("2")
    assert not run.is_done("x", "key")


def test_doing_a_stage_again_makes_the_later_ones_stale(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    outputs = {name: run.write_text(f"{name}.txt", name) for name in ("a", "b")}
    for name, output in outputs.items():
        run.finish(name, "k", [output], 0.1)
    run.finish("a", "k2", [outputs["a"]], 0.1)
    assert run.is_done("a", "k2")
    assert not run.is_done("b", "k")


def test_one_folder_takes_one_process_at_a_time(tmp_path: Path) -> None:
    attempt = (
        "import sys; from pathlib import Path; from burnish.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): pass\n"
    )
    command = [sys.executable, "-c", attempt, str(tmp_path)]
    with RunFolder(tmp_path).locked():
        refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "another process" in refused.stderr
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_asking_whether_a_folder_is_worked_in_stands_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path)
    assert not run.is_worked_in()
    with run.locked():
        assert run.is_worked_in()
    assert not run.is_worked_in()
    real, refused = fcntl.flock, [True]

    def asked_just_now(file: IO[str], how: int) -> None:
        if refused:
            refused.pop()
            raise BlockingIOError
        real(file, how)

    monkeypatch.setattr("burnish.run_folder.fcntl.flock", asked_just_now)
    with run.locked():
        assert not refused


def test_the_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
