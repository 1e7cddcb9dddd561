"""The tables of frameworks say what was measured, and that what wasn't, wasn't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from burnish.release.frameworks import frameworks
from burnish.release.proof import read_proof
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import release
from burnish.run_folder import RunFolder
from burnish.statement import read_statement


def test_it_is_filled_from_the_evidence(passed_run: Callable[..., RunFolder], lora_model: Any, tmp_path: Path) -> None:
    folder = Path(release(ReleaseSettings(), passed_run(lora_model), tmp_path / "out").path)
    said, proof = read_statement(folder).predicate, read_proof(folder)
    text = (folder / "evidence/frameworks.md").read_text(encoding="utf-8")
    assert text == frameworks("run", said, proof)
    for told in (
        "LLM03:2025",
        "LLM04:2025",
        "AML.T0020",
        "MEASURE 2.6",
        "audit of 3 rows by 1 detectors",
        "not signed",
        "no triggers were probed for",
    ):
        assert told in text
    assert "secrets: 0 findings in 3 rows" in text
    assert "was not calibrated on replies of these models" in text
    assert "digests of the base, of the tuned weights" in text
    chained = said.model_copy(update={"base": said.base.model_copy(update={"base": said.base})})
    assert "digests of the base and all that it was made on, of" in frameworks("run", chained, proof)
    poor = frameworks("run", said, replace(proof, audit=None, dataset=None))
    assert "the data were not audited" in poor
    assert "| not examined |" in poor
