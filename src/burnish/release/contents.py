"""The files of a release folder: their names, their digests, and the table of verdicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from burnish.artefacts import TrainedModel
from burnish.gate.evidence import read_rows
from burnish.records import content_digest
from burnish.run_folder import file_digest
from burnish.statement import SIGNATURE, STATEMENT

CARD = "README.md"
DECISION = "evidence/decision.json"
ATTEMPTS = "evidence/attempts.jsonl"
EVALUATION = "evidence/evaluation.json"
TRAINED = "evidence/train.json"
DATASET = "evidence/dataset.json"
AUDIT = "evidence/audit.json"
CALIBRATION = "evidence/calibration.json"
MANIFEST = "evidence/manifest.json"
MERGE = "evidence/merge.json"
COMPUTE = "evidence/compute.json"
WAIVER = "evidence/waiver.json"
RECIPE = "evidence/recipe.yaml"
VERDICTS = "evidence/verdicts.parquet"
FRAMEWORKS = "evidence/frameworks.md"
BILL = "evidence/bom.cdx.json"

PROMPT_DIGEST, REPLY_DIGEST = "prompt_sha256", "reply_sha256"


def weights_digest(weights: Mapping[str, str], trained: TrainedModel) -> str:
    """The digest of tuned weights from their files' digests, as `burnish.models.load.identify` makes it."""
    own = content_digest([[name, weights[name]] for name in sorted(weights)])
    return content_digest(own, trained.base.digest) if trained.form == "adapter" else own


def listed_files(folder: Path) -> dict[str, str]:
    """SHA-256 (hex) of each file that the statement of the release in `folder` lists, by relative path, sorted."""
    found = digests_of(folder)
    return {name: digest for name, digest in found.items() if name not in (STATEMENT, SIGNATURE)}


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 (hex) of each file under `folder` by relative path, sorted."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    return {name: file_digest(path) for name, path in files}


def verdict_table(responses: pl.DataFrame) -> pl.DataFrame:
    """The rows that the decision was made of, with the digests of what was asked and answered in place of the text,
    which may be harmful or private."""
    order = ("suite", "prompt_id", "arm")
    rows = read_rows(responses, "evaluate/responses.parquet")
    texts = responses.filter(pl.col("side") == "sealed").sort(*order, maintain_order=True)
    return rows.with_columns(
        pl.Series(PROMPT_DIGEST, _digests(texts["prompt"]), dtype=pl.String),
        pl.Series(REPLY_DIGEST, _digests(texts["reply"]), dtype=pl.String),
    )


def _digests(texts: pl.Series) -> list[str]:
    return [text_digest(text) for text in texts.to_list()]


def text_digest(text: str) -> str:
    """SHA-256 (hex) of a text's UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pretty(value: Any) -> str:
    """JSON text for people."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
