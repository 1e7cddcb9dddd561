"""Encoded rows that were paid for once: kept in the user's cache by a digest of all that they follow from.

They lie there, not in the run folder, because it is the next run, with another learning rate or model size, that reads
the same rows again. An entry is a folder of plain arrays, written beside its place and then renamed, so that an entry
of that name is whole; it is mapped into memory, not read. The oldest entries are dropped beyond a total size.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any

import burnish
from burnish.artefacts import Losses
from burnish.logs import warn
from burnish.models.chat_template import Encoded, Encoder
from burnish.records import Source, content_digest
from burnish.run_folder import file_digest
from burnish.train.batches import Rows
from burnish.train.encoding import Encoding
from burnish.train.method import Method

_MOST_BYTES = 4 * 2**30
_ABOUT = "encoding.json"
_FAULTS = (OSError, ValueError, KeyError, TypeError)


def encoding_key(path: Path, quarantined: Collection[str], method: Method, encoder: Encoder) -> str:
    """SHA-256 (hex) of all that encoded rows follow from: the records, the rows that are left out, the tokeniser with
    its chat template, the greatest length, the method with its settings, and the code of Burnish and of the libraries
    that render and tokenise."""
    tokenizer = encoder.tokenizer
    return content_digest(
        file_digest(path),
        sorted(quarantined),
        [tokenizer.backend_tokenizer.to_str(), tokenizer.chat_template, sorted(_special(tokenizer).items())],
        encoder.max_length,
        [type(method).__module__, type(method).__qualname__, _settings(method)],
        [_code_digest(), *(version(name) for name in ("transformers", "tokenizers", "jinja2"))],
    )


class EncodedCache:
    """The cache in `folder`, of at most `most_bytes`."""

    def __init__(self, folder: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def get(self, key: str) -> Encoding | None:
        """The rows of that key; None when they aren't there. A damaged entry is removed, and said."""
        entry = self._folder / key
        if not entry.is_dir():
            return None
        try:
            found = _load(entry)
        except _FAULTS as error:
            warn(f"{entry}: cached rows were damaged ({error}) and are encoded anew")
            shutil.rmtree(entry, ignore_errors=True)
            return None
        os.utime(entry)
        return found

    def put(self, key: str, encoding: Encoding) -> None:
        """Keep rows. When they can't be written nothing is kept, which is said and does no harm."""
        partial: Path | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=self._folder, prefix=f".{key[:12]}.", suffix=".part"))
            _save(encoding, partial)
            if _size(partial) <= self._most_bytes:
                partial.rename(self._folder / key)
            self._drop_oldest(self._folder / key)
        except OSError as error:
            if not (self._folder / key).is_dir():  # else another process kept the same rows first
                warn(f"{self._folder}: encoded rows can't be kept for the next run ({error})")
        finally:
            if partial is not None:
                shutil.rmtree(partial, ignore_errors=True)

    def _drop_oldest(self, newest: Path) -> None:
        entries = sorted((path for path in self._folder.iterdir() if path != newest), key=lambda p: p.stat().st_mtime)
        total = _size(newest) + sum(map(_size, entries))
        for entry in entries:
            if total <= self._most_bytes:
                return
            total -= _size(entry)
            shutil.rmtree(entry, ignore_errors=True)


def _save(encoding: Encoding, folder: Path) -> None:
    encoding.rows.save(folder)
    about = {
        "losses": encoding.losses.model_dump(mode="json"),
        "reasons": list(encoding.reasons.items()),
        "sample": [
            [row.source.file, row.source.line, row.dropped, row.tokens_truncated, row.group is not None]
            for row in encoding.sample
        ],
    }
    (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
    for file in folder.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


def _load(folder: Path) -> Encoding:
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    rows = Rows.load(folder)
    losses = Losses.model_validate(about["losses"])
    if len(rows) != losses.rows_trained:
        raise ValueError(f"{len(rows)} rows, expected {losses.rows_trained}")
    groups = (rows[index] for index in range(len(rows)))
    sample = tuple(
        Encoded(next(groups) if kept else None, dropped, truncated, Source(file, line))
        for file, line, dropped, truncated, kept in about["sample"]
    )
    return Encoding(rows, losses, Counter(dict(about["reasons"])), sample)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _special(tokenizer: Any) -> dict[str, Any]:
    return {name: str(token) for name, token in tokenizer.special_tokens_map.items()}


def _settings(method: Method) -> object:
    settings: Any = getattr(method, "settings", None)
    return settings.model_dump(mode="json") if settings is not None else None


def _code_digest() -> str:
    """Of every source file of the package: which of them encoding goes through is not for a list here to know."""
    root = Path(burnish.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
