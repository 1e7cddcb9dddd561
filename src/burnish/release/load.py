"""Loading a released model: only after its release was checked, and only on the base that it was measured on."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from burnish.errors import GateRefusal, ReleaseError
from burnish.logs import warn
from burnish.models.load import LoadedModel, identify, load_model
from burnish.models.settings import Dtype, ModelSettings
from burnish.release.contents import listed_files
from burnish.release.signing import Trust
from burnish.release.verify import VerifyReport, verify
from burnish.statement import Predicate, read_statement


def load_release(
    folder: Path | str,
    *,
    base: Path | str = "",
    trust: Trust | None = None,
    allow_waived: bool = False,
    dtype: Dtype = "auto",
    device: str = "auto",
) -> LoadedModel:
    """The released model with its tokeniser, in memory.

    `base` is where an adapter's base lies (a folder, a built-in name or a Hub id); by default it is found by the name
    that the release gives. `trust` demands a signature. With `allow_waived` a model that a person let out against the
    gate's verdict is loaded too.

    Raises: GateRefusal when the release doesn't verify, no PASS covers its weights, or the base is another one than the
    adapter was measured on; ReleaseError when `folder` isn't a release; ModelError when the base can't be had.
    """
    folder = Path(folder)
    report = verify(folder, trust)
    _demand(report, allow_waived)
    said = read_statement(folder).predicate
    with _files(folder, said, str(base)) as where:
        settings = ModelSettings(name=str(where), dtype=dtype, device=device)
        if said.form == "adapter":
            _check_base(folder, said, settings, str(base))
        return load_model(settings)


def _demand(report: VerifyReport, allow_waived: bool) -> None:
    if report.faults:
        listed = "\n".join(f"{fault.path}: {fault.what}" for fault in report.faults[:10])
        raise GateRefusal(
            f"{report.folder}: isn't as released, so no decision covers its weights; nothing was loaded\n{listed}",
            hint=f"look at all {len(report.faults)} faults: burnish verify {report.folder}",
        )
    if report.is_waived and not allow_waived:
        assert report.waiver is not None
        raise GateRefusal(
            f"{report.folder}: the gate says {report.verdict}, and {report.waiver.by} let it out all the same "
            f"({report.waiver.reason}); nothing was loaded",
            hint="to use it against the verdict: allow_waived=True",
        )
    if report.is_waived:
        warn(f"{report.folder}: the gate says {report.verdict}; it was waived, and is loaded all the same")
    if report.signature != "good":
        warn(f"{report.folder}: nobody's signature was checked, so nothing shows who made this release")


@contextmanager
def _files(folder: Path, said: Predicate, base: str) -> Iterator[Path]:
    """The folder to load from: a whole model's own; of an adapter a copy that names `base` as its base, since the
    release's own file may name a folder of another machine, and mustn't be changed."""
    if said.form != "adapter":
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="burnish-release-") as work:
        for name in listed_files(folder):
            if "/" not in name:
                shutil.copyfile(folder / name, Path(work) / name)
        path = Path(work) / "adapter_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config |= {"base_model_name_or_path": base or said.base.name, "revision": said.base.commit or None}
        path.write_text(json.dumps(config), encoding="utf-8")
        yield Path(work)


def _check_base(folder: Path, said: Predicate, settings: ModelSettings, base: str) -> None:
    if said.base.base is not None and not base:
        raise ReleaseError(
            f"{folder}: is an adapter on a model that was itself tuned ({said.base.name}), which isn't in the release; "
            "nothing was loaded",
            hint="give the folder of that model: base=..., or ask for a merged release",
        )
    found = identify(settings).base
    if found is None or found.digest != said.base.digest:
        raise GateRefusal(
            f"{folder}: the base {base or said.base.name!r} has the digest {found.digest[:12] if found else 'none'}, "
            f"but the decision is about an adapter on {said.base.digest[:12]}; nothing was loaded",
            hint="give the base that the adapter was measured on: base=...",
        )
