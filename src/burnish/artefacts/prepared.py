"""The prepared rows."""

from __future__ import annotations

from burnish.artefacts.ground import Artefact, RecordKind


class DataFile(Artefact):
    """One file or Hub set that was read."""

    name: str
    digest: str
    format: str
    rows: int
    taken: int
    notes: tuple[str, ...] = ()


class Dataset(Artefact):
    """The prepared rows: `data/train.jsonl` and `data/heldout.jsonl`, one normalised record a line
    (`burnish.data.store` reads and writes them)."""

    kind: RecordKind
    files: tuple[DataFile, ...]
    train_path: str
    heldout_path: str
    num_train: int
    num_heldout: int
    digest: str
