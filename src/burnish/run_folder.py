"""The run folder: where every stage reads and writes, and the manifest that says which stages are done.

Files are written whole or not at all (a temporary file beside the target, then a rename). A stage's manifest entry is
written last, so its existence means that the stage finished. Knows nothing of what the stages do.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from burnish.artefacts import Artefact
from burnish.errors import RunFolderError

_A = TypeVar("_A", bound=Artefact)
_CHUNK = 1 << 20
_LOCK_TRIES = 3
_LOCK_PAUSE_SECONDS = 0.02


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in chunks.

    Raises: OSError when it can't be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; it takes the target's place only if the block ends well.

    Raises: RunFolderError when the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if error.errno == 28:  # ENOSPC
            raise RunFolderError(
                f"{target}: no space left on the device; the file was not written, what was there before is intact",
                hint="free some space and run the same command with --resume",
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


class RunFolder:
    """One run's folder. Every path that it hands out lies inside it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def name(self) -> str:
        return self.path.name

    def file(self, relative: str) -> Path:
        """The absolute path of `relative` inside the folder; parents are made.

        Raises: RunFolderError when it would lie outside.
        """
        target = (self.path / relative).resolve()
        if not target.is_relative_to(self.path):
            raise RunFolderError(f"{relative}: lies outside the run folder {self.path}; nothing was read or written")
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def write_text(self, relative: str, text: str) -> Path:
        """Write a text file whole (UTF-8, "\\n" line ends)."""
        target = self.file(relative)
        with written_whole(target) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
        return target

    def write_json(self, relative: str, value: object) -> Path:
        """Write JSON, indented, keys in the order given."""
        return self.write_text(relative, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, relative: str) -> Any:
        """Read JSON. Raises: RunFolderError when the file is missing or broken."""
        path = self.file(relative)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunFolderError(
                f"{path}: missing, though this step reads it", hint="run the stage before it first, or use --resume"
            ) from None
        except ValueError as error:
            raise RunFolderError(f"{path}: not valid JSON ({error})", hint="the run folder was damaged") from error

    def write_jsonl(self, relative: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Write one JSON object a line, streaming; returns how many."""
        count = 0
        with written_whole(self.file(relative)) as temporary, temporary.open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        return count

    def save(self, relative: str, artefact: Artefact) -> Path:
        """Write an artefact as JSON."""
        return self.write_text(relative, artefact.model_dump_json(indent=2) + "\n")

    def load(self, relative: str, kind: type[_A]) -> _A:
        """Read an artefact back.

        Raises: RunFolderError when the file is missing or isn't such an artefact.
        """
        value = self.read_json(relative)
        try:
            return kind.model_validate(value)
        except ValueError as error:
            raise RunFolderError(
                f"{self.file(relative)}: not a valid {kind.__name__} ({error})", hint="the run folder was damaged"
            ) from error

    # --- the manifest -------------------------------------------------------------------------------------------------

    def manifest(self) -> dict[str, Any]:
        """The manifest: {"versions": ..., "stages": {name: entry}}; empty stages when there is none yet."""
        if not self.file("manifest.json").exists():
            return {"versions": {}, "stages": {}}
        value: dict[str, Any] = self.read_json("manifest.json")
        return value

    def is_done(self, stage: str, key: str) -> bool:
        """Whether `stage` finished with exactly these inputs (`key`) and its outputs are still what they were."""
        entry = self.manifest()["stages"].get(stage)
        if not entry or entry["key"] != key:
            return False
        return all(
            self.file(path).is_file() and file_digest(self.file(path)) == digest
            for path, digest in entry["outputs"].items()
        )

    def finish(self, stage: str, key: str, outputs: Iterable[Path], seconds: float) -> None:
        """Record that `stage` is done. Written last; later stages' entries are dropped, since they are stale now."""
        manifest = self.manifest()
        stages: dict[str, Any] = manifest["stages"]
        if stage in stages:
            names = list(stages)
            for later in names[names.index(stage) :]:
                del stages[later]
        stages[stage] = {
            "key": key,
            "outputs": {path.relative_to(self.path).as_posix(): file_digest(path) for path in sorted(outputs)},
            "seconds": round(seconds, 3),
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        manifest["versions"] = versions()
        self.write_json("manifest.json", manifest)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises: RunFolderError when another process works in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            if not _lock(file, fcntl.LOCK_EX, tries=_LOCK_TRIES):
                raise RunFolderError(
                    f"{self.path}: another process is working in this run folder; nothing was changed",
                    hint="wait for it to end, or choose another name with --set name=...",
                )
            yield

    def is_worked_in(self) -> bool:
        """Whether a process holds the folder now."""
        try:
            with (self.path / ".lock").open("r") as file:
                return not _lock(file, fcntl.LOCK_SH, tries=1)
        except OSError:
            return False


def _lock(file: IO[str], how: int, tries: int) -> bool:
    """Whether the lock was had. Several tries, since asking if a folder is worked in holds it for an instant."""
    for attempt in range(tries):
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < tries:
                time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return True
    return False


def weights_of(name: str) -> str:
    """What to load for `name`, to have it write: of a run's folder the weights that it trained, else the name itself.

    Raises: RunFolderError when the run trained a reward model.
    """
    trained = Path(name).expanduser() / "train/train.json"
    if trained.is_file() and not RunFolder(trained.parent.parent).read_json("train/train.json").get("writes", True):
        raise RunFolderError(
            f"{name}: is a reward model, which scores text and writes none; nothing was loaded",
            hint="name a run that trained a model, or learn from this one: train.method.rewards",
        )
    for form in ("adapter", "model"):
        folder = Path(name).expanduser() / "train" / form
        if folder.is_dir():
            return str(folder)
    return name


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the libraries that results depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("burnish", "torch", "transformers", "peft", "safetensors", "tokenizers", "polars", "scipy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
