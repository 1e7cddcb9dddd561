"""The bill of materials: valid by the format's schema, complete, and the same for the same evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.release.bill_of_materials import bill_of_materials, is_same
from burnish.release.contents import BILL
from burnish.release.proof import Proof, read_proof
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import release
from burnish.run_folder import RunFolder
from burnish.statement import Predicate, read_statement


@pytest.fixture
def made(passed_run: Callable[..., RunFolder], lora_model: Any, tmp_path: Path) -> tuple[str, Predicate, Proof]:
    """A release's bill, and what it was made of."""
    folder = Path(release(ReleaseSettings(), passed_run(lora_model), tmp_path / "out").path)
    return (folder / BILL).read_text(encoding="utf-8"), read_statement(folder).predicate, read_proof(folder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_fits_the_schema(made: tuple[str, Predicate, Proof]) -> None:
    pytest.importorskip("jsonschema")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(made[0]) is None


def test_everything_that_the_model_is_made_of_is_in_it(made: tuple[str, Predicate, Proof]) -> None:
    text, said, proof = made
    bill = json.loads(text)
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert {p["name"]: p["value"] for p in model["properties"]}["burnish:tuned-digest"] == said.tuned
    parts = {part["bom-ref"]: part for part in bill["components"]}
    for name, digest in said.weights.items():
        assert parts[f"weights:{name}"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert {"base-0", "judge", "data:0", "suite:harm", "suite:ordinary", "suite:task"} <= parts.keys()
    assert said.base.digest in text
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert [metric["slice"] for metric in metrics] == [rule.suite for rule in proof.decision.rules]


def test_the_same_evidence_gives_the_same_bill(made: tuple[str, Predicate, Proof]) -> None:
    text, said, proof = made
    name = json.loads(text)["metadata"]["component"]["name"]
    assert bill_of_materials(name, said, proof) == text
    other = bill_of_materials(name, said.model_copy(update={"judge_digest": "e" * 64}), proof)
    assert not is_same(json.loads(text), json.loads(other))


def test_the_order_of_lists_and_the_tool_are_no_facts(made: tuple[str, Predicate, Proof]) -> None:
    bill, other = json.loads(made[0]), json.loads(made[0])
    other["components"].reverse()
    other["metadata"]["tools"] = [{"name": "another tool"}]
    assert is_same(bill, other)
    other["components"].pop()
    assert not is_same(bill, other)
