"""Checking the files of a release folder against the list in its statement: nothing changed, added, missing, or other
than an ordinary file of the release's own. Knows nothing of what the files say."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from burnish.run_folder import file_digest
from burnish.statement import SIGNATURE, STATEMENT

KINDS = frozenset({".jinja", ".json", ".jsonl", ".md", ".model", ".parquet", ".py", ".safetensors", ".txt", ".yaml"})
"""The kinds of file that a release holds. None but `.py`, which a model may bring and whose digest is part of its
weights', can run code when it is read; pickles above all are not among them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a release that isn't as it was written. `path` is relative to the release."""

    path: str
    what: str


def check_files(folder: Path, listed: Mapping[str, str], weights: Mapping[str, str]) -> list[Fault]:
    """Every file, link and folder under `folder` beside the `listed` digests by path; `weights` are the files that were
    measured, by name."""
    faults = list(_check_names(listed, weights))
    present: set[str] = set()
    expected_folders = {str(parent) for name in listed for parent in PurePosixPath(name).parents}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found = path.lstat()
        if name in listed:
            present.add(name)
        if stat.S_ISLNK(found.st_mode):
            faults.append(Fault(name, "is a link, expected a file of the release's own"))
        elif stat.S_ISDIR(found.st_mode):
            if name not in expected_folders:
                faults.append(Fault(name, "a folder that was added"))
        elif not stat.S_ISREG(found.st_mode):
            faults.append(Fault(name, "is neither file nor folder"))
        else:
            faults += _check_file(path, name, found, listed)
    return faults + [Fault(name, "is missing") for name in sorted(listed.keys() - present) if _is_inside(name)]


def _check_file(path: Path, name: str, found: os.stat_result, listed: Mapping[str, str]) -> Iterator[Fault]:
    if found.st_nlink > 1:
        yield Fault(name, "has a second name (a hard link), under which it could be changed from outside")
    if name in listed:
        if file_digest(path) != listed[name]:
            yield Fault(name, "its bytes were changed")
    elif name not in (STATEMENT, SIGNATURE):
        yield Fault(name, "was added")


def _check_names(listed: Mapping[str, str], weights: Mapping[str, str]) -> Iterator[Fault]:
    """Names that mean something else, or nothing, on another machine."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in listed:
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
        suffix = PurePosixPath(name).suffix
        if not _is_inside(name):
            yield Fault(name, "lies outside the release")
        elif name in (STATEMENT, SIGNATURE):
            yield Fault(name, "is listed, though it can't hold its own digest")
        elif suffix not in KINDS or (suffix == ".py" and name not in weights):
            yield Fault(name, "is no kind of file that a release holds")
    for names in alike.values():
        if len(names) > 1:
            yield Fault(names[0], f"has the same name as {names[1]} where case or accents aren't told apart")


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    plain = path.as_posix() == name and not path.is_absolute() and ".." not in path.parts and bool(path.parts)
    return plain and "\\" not in name and ":" not in name and name.isprintable()
