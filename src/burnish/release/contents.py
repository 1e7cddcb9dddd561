"""What a release folder says of itself: `burnish-release.json`, with the digest of every other file in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from burnish.artefacts import Artefact, TrainedModel
from burnish.gate.evidence import ROW_SCHEMA, read_rows
from burnish.records import content_digest
from burnish.run_folder import file_digest

CONTENTS = "burnish-release.json"
DECISION = "evidence/decision.json"
EVALUATION = "evidence/evaluation.json"
TRAINED = "evidence/train.json"
MERGE = "evidence/merge.json"
RECIPE = "evidence/recipe.yaml"
VERDICTS = "evidence/verdicts.parquet"


class Contents(Artefact):
    """`files`: the SHA-256 of each file by relative path, this one aside. `weights`: the files whose names and digests
    make up the digest of the tuned weights as they were evaluated; in a release of the same form they are among
    `files`. `digest` is over all the rest, so that a change to this file shows too."""

    format: Literal[1] = 1
    form: Literal["adapter", "merged"]
    tuned_digest: str
    weights: dict[str, str]
    files: dict[str, str]
    burnish_version: str
    digest: str = ""

    def sealed(self) -> Contents:
        """The same with its own digest."""
        return self.model_copy(update={"digest": self._own_digest()})

    def is_whole(self) -> bool:
        """Whether its own digest fits."""
        return self.digest == self._own_digest()

    def to_text(self) -> str:
        """The file's text; there is one for each content."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=True) + "\n"

    def _own_digest(self) -> str:
        content = self.model_dump(mode="json", exclude={"digest"})
        return content_digest(json.dumps(content, sort_keys=True))


def weights_digest(weights: Mapping[str, str], trained: TrainedModel) -> str:
    """The digest of tuned weights from their files' digests, as `burnish.models.load.identify` makes it."""
    own = content_digest([[name, weights[name]] for name in sorted(weights)])
    return content_digest(own, trained.base.digest) if trained.form == "adapter" else own


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
        prompt_sha256=pl.Series(_digests(texts["prompt"]), dtype=pl.String),
        reply_sha256=pl.Series(_digests(texts["reply"]), dtype=pl.String),
    )


def _digests(texts: pl.Series) -> list[str]:
    return [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts.to_list()]


def rows_of(path: Path) -> pl.DataFrame:
    """The deciding columns of a release's verdicts.

    Raises: GateRefusal when they aren't such rows.
    """
    return read_rows(pl.read_parquet(path), VERDICTS).select(list(ROW_SCHEMA))


def pretty(value: Any) -> str:
    """JSON text for people."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
