"""Every way of changing a release is found."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from burnish.errors import ReleaseError
from burnish.release.contents import digests_of
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import release
from burnish.release.verify import verify
from burnish.run_folder import RunFolder
from burnish.statement import SIGNATURE, STATEMENT, Sha256, Statement, Subject

from .forgery import list_anew, read, say_anew, write


@pytest.fixture
def released(passed_run: Callable[..., RunFolder], lora_model: Any, tmp_path: Path) -> Path:
    """A good release."""
    return Path(release(ReleaseSettings(), passed_run(lora_model), tmp_path / "out").path)


def faults(folder: Path) -> dict[str, str]:
    """The first fault of each path."""
    return {fault.path: fault.what for fault in reversed(verify(folder).faults)}


def test_a_good_release_verifies_wherever_it_lies(released: Path, tmp_path: Path) -> None:
    before = verify(released)
    moved = tmp_path / "elsewhere"
    shutil.move(released, moved)
    after = verify(moved)
    assert before.ok
    assert after.ok
    assert (after.verdict, after.digest, after.files) == ("PASS", before.digest, before.files)


def test_a_flipped_bit_in_any_file_is_found(released: Path) -> None:
    names = sorted(digests_of(released))
    assert len(names) >= 12
    for name in names:
        path = released / name
        whole = path.read_bytes()
        for place in {0, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
            changed = bytearray(whole)
            changed[place] ^= 1
            path.write_bytes(changed)
            assert not verify(released).ok, f"{name} at byte {place}"
        path.write_bytes(whole)
    assert verify(released).ok


def test_white_space_in_the_list_is_found(released: Path) -> None:
    path = released / STATEMENT
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert "was changed" in faults(released)[STATEMENT]


def test_added_missing_and_renamed_files_are_found(released: Path) -> None:
    (released / "extra.py").write_text("import os", encoding="utf-8")
    (released / "evidence" / "more").mkdir()
    (released / "README.md").rename(released / "readme.md")
    assert faults(released) == {
        "extra.py": "was added",
        "evidence/more": "a folder that was added",
        "README.md": "is missing",
        "readme.md": "was added",
    }


def test_links_are_found(released: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    shutil.copy(released / "README.md", outside)
    (released / "README.md").unlink()
    (released / "README.md").symlink_to(outside)
    assert "is a link" in faults(released)["README.md"]


def test_a_linked_folder_is_found(released: Path, tmp_path: Path) -> None:
    shutil.move(released / "evidence", tmp_path / "evidence")
    (released / "evidence").symlink_to(tmp_path / "evidence")
    report = verify(released)
    assert not report.ok
    assert report.verdict is None


def test_pipes_are_found(released: Path) -> None:
    os.mkfifo(released / "pipe")
    assert faults(released) == {"pipe": "is neither file nor folder"}


def test_a_list_that_points_outside_is_found(released: Path) -> None:
    said = read(released)
    for name in ("../outside", "/etc/hostname"):
        more = Subject(name=name, digest=Sha256(sha256="0" * 64))
        write(released, Statement(subject=(*said.subject, more), predicate=said.predicate))
        assert faults(released)[name] == "lies outside the release"


def test_an_edited_decision_is_found_though_the_list_was_made_anew(released: Path) -> None:
    path = released / "evidence/decision.json"
    decision = json.loads(path.read_text(encoding="utf-8"))
    decision["rules"][0]["tuned_rate"] = 0.001
    path.write_text(json.dumps(decision), encoding="utf-8")
    list_anew(released)
    assert "isn't the decision" in faults(released)["evidence/decision.json"]


def test_edited_verdicts_are_found_though_the_list_was_made_anew(released: Path) -> None:
    path = released / "evidence/verdicts.parquet"
    harmful = (pl.col("kind") == "harmful") & (pl.col("arm") == "tuned")
    verdict = pl.when(harmful).then(pl.lit("compliance")).otherwise(pl.col("verdict"))
    pl.read_parquet(path).with_columns(verdict=verdict).write_parquet(path)
    list_anew(released)
    report = verify(released)
    assert report.verdict == "BLOCK"
    assert not report.ok


def test_eased_margins_are_found_though_the_list_was_made_anew(released: Path) -> None:
    path = released / "evidence/recipe.yaml"
    recipe = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**recipe, "gate": {"harmful_compliance_margin": 0.9}}), encoding="utf-8")
    list_anew(released)
    assert "evidence/decision.json" in faults(released)


def test_exchanged_weights_are_found_though_the_list_was_made_anew(released: Path) -> None:
    path = released / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    list_anew(released)
    assert faults(released) == {"adapter_model.safetensors": "isn't the file that was measured"}
    say_anew(released)
    assert "names other weights" in faults(released)[STATEMENT]


def test_what_is_made_up_of_the_model_is_found_though_the_list_was_made_anew(released: Path) -> None:
    list_anew(released, data="e" * 64)
    assert "what it says of data doesn't follow" in faults(released)[STATEMENT]


def test_an_unreadable_list_is_a_fault_and_none_at_all_an_error(released: Path, tmp_path: Path) -> None:
    (released / STATEMENT).write_text("{}", encoding="utf-8")
    assert "can't be read" in faults(released)[STATEMENT]
    with pytest.raises(ReleaseError, match="isn't a release"):
        verify(tmp_path)


def test_the_command_says_so(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from burnish.cli.main import main

    def code() -> object:
        with pytest.raises(SystemExit) as ended:
            main(["verify", str(released)])
        return ended.value.code

    assert code() == 0
    told = capsys.readouterr().out
    assert "gives PASS" in told
    assert "NOT SIGNED" in told
    (released / "README.md").write_text("changed", encoding="utf-8")
    assert code() == 1
    assert "README.md: its bytes were changed" in capsys.readouterr().out


def test_a_fault_in_another_versions_release_is_told_with_the_version(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from burnish.cli.main import main

    list_anew(released, burnish_version="9.9")
    assert verify(released).ok
    (released / "README.md").write_text("changed", encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["verify", str(released)])
    told = capsys.readouterr()
    assert "hint: written by Burnish 9.9" in told.out + told.err


def test_a_signature_that_was_not_asked_about_is_not_called_checked(
    passed_run: Callable[..., RunFolder], lora_model: Any, keys: Any, tmp_path: Path
) -> None:
    made = release(ReleaseSettings(signing="key", key=str(keys.private)), passed_run(lora_model), tmp_path / "out")
    report = verify(Path(made.path))
    assert report.ok
    assert report.signature == "unchecked"
    (Path(made.path) / SIGNATURE).unlink()
    assert "is missing" in faults(Path(made.path))[SIGNATURE]


def test_json_can_be_read_in_one_way_only(released: Path) -> None:
    for name in ("decision", "evaluation", "train", "audit", "dataset", "manifest"):
        path = released / f"evidence/{name}.json"
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace("{", '{"twice": 1, "twice": 2,', 1), encoding="utf-8")
        assert "stands twice" in faults(released)["evidence"], name
        path.write_text(whole, encoding="utf-8")
