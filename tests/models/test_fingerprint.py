from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from burnish.models import fingerprint
from burnish.models.fingerprint import model_digest, model_files


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_only_what_decides_the_replies_counts(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a", model__safetensors="w", config__json="{}", README__md="x", source__json="{}", x__py=""
    )
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "optimiser.pt").write_text("o")
    assert [p.name for p in model_files(folder)] == ["config.json", "model.safetensors", "x.py"]


def test_a_copy_has_the_same_digest_and_a_renamed_file_another(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", model__safetensors="w", config__json="{}")
    copy = shutil.copytree(folder, tmp_path / "b")
    assert model_digest(copy) == model_digest(folder)
    (copy / "model.safetensors").rename(copy / "other.safetensors")
    assert model_digest(copy) != model_digest(folder)


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    real = fingerprint.file_digest
    monkeypatch.setattr(fingerprint, "file_digest", lambda path: read.append(path) or real(path))
    folder = write(tmp_path / "a", model__safetensors="w")
    first = model_digest(folder)
    assert model_digest(folder) == first
    assert len(read) == 1
    (folder / "model.safetensors").write_text("weights")
    assert model_digest(folder) != first
    assert len(read) == 2
