"""An adapter and its base as one whole model on disk, that plain transformers loads.

What merging changes is measured, and refused above a tolerance. Only the release stage calls this, after a PASS. Knows
nothing of decisions.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import safe_open

from burnish.artefacts import Merge, ModelIdentity
from burnish.errors import ModelError
from burnish.models.base_form import BaseForm, read_base_form
from burnish.models.device import DTYPES, pick_device, pick_dtype
from burnish.models.drift import EXCHANGES, Exchange, drift, log_shares, rows_of
from burnish.models.hub import quiet
from burnish.models.load import LoadedModel, dequantised, identify, load_model
from burnish.models.settings import DRIFT_TOLERANCE, Dtype, ModelSettings


def merge_to_folder(
    base: ModelSettings,
    adapter: Path,
    target: Path,
    *,
    expected: ModelIdentity | None = None,
    cache: Path | None = None,
    exchanges: Sequence[Exchange] = EXCHANGES,
    tolerance: float = DRIFT_TOLERANCE,
) -> Merge:
    """Write base and adapter as one safetensors folder with tokeniser and generation settings.

    An adapter that was trained on 4-bit weights is merged into the values that those stand for, and not into the base's
    own weights: it was trained to make up for the difference, and it was evaluated so. The sum is done in float32 on
    the CPU and stored in the type of the base's own files. What that changed is measured on `exchanges` (prompt and
    reply). `target` must not exist; it appears whole or not at all. With `expected`, the base must be that very model.

    Raises: ModelError when the base can't be loaded, isn't the `expected` one, `target` exists, or the mean drift is
    above `tolerance` (nats).
    """
    if target.exists():
        raise ModelError(f"{target}: already exists; nothing was merged", hint="choose another folder, or remove it")
    form = read_base_form(adapter)
    base = base.model_copy(update={"add_tokens": form.add_tokens})
    identity = identify(base, cache=cache)
    if expected is not None and identity.digest != expected.digest:
        raise ModelError(
            f"{identity.path}: the base's digest is {identity.digest[:12]}, expected "
            f"{expected.digest[:12]}, the model that the adapter was trained on; nothing was merged",
            hint="bring back the base's files as they were when the adapter was trained",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with quiet(), tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as work:
        loaded = _loaded(base, form, cache)
        rows = rows_of(loaded.tokenizer, exchanges)
        apart: Any = PeftModel.from_pretrained(loaded.model, str(adapter)).eval()
        before = log_shares(apart, rows)
        stored = stored_dtype(identity)
        merged = _merged(apart, form, adapter).to(DTYPES[stored])
        measured = drift(before, log_shares(merged.float(), rows))
        made = Merge(
            base="dequantised" if form.quantised else "as it was", stored=stored, drift=measured, tolerance=tolerance
        )
        _check(made, adapter)
        folder = Path(work) / "model"
        merged.to(DTYPES[stored]).save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        shutil.move(folder, target)
    return made


def _loaded(base: ModelSettings, form: BaseForm, cache: Path | None) -> LoadedModel:
    """The base on the CPU as the adapter found it: in float32, or its 4-bit weights made of the type that training
    loaded."""
    dtype = pick_dtype(base.dtype, pick_device(base.device)) if form.quantised else torch.float32
    name = str(dtype).removeprefix("torch.")
    settings = base.model_copy(update={"device": "cpu", "dtype": name})
    return load_model(settings, quantise=form.quantised is not None, cache=cache)


def _merged(apart: Any, form: BaseForm, adapter: Path) -> Any:
    if form.quantised:
        apart = PeftModel.from_pretrained(dequantised(apart.unload(), torch.float32), str(adapter))
    return apart.merge_and_unload(safe_merge=True).float().eval()


def _check(made: Merge, adapter: Path) -> None:
    found = made.drift
    if found.mean <= made.tolerance:
        return
    raise ModelError(
        f"{adapter}: merged and stored as {made.stored}, the model's next token drifts from what base and adapter give "
        f"by {found.mean:.3g} nats on average over {found.positions} positions, expected at most {made.tolerance:.3g} "
        f"(the likeliest token is the same at {found.same_token:.1%}); nothing was merged",
        hint="release the adapter itself (release.form: adapter), or raise release.drift_tolerance",
    )


def stored_dtype(identity: ModelIdentity) -> Dtype:
    """The floating type that most of the model's weights on disk have (its base's, when it is an adapter).

    Raises: ModelError when that isn't float32, bfloat16 or float16.
    """
    while identity.base is not None:
        identity = identity.base
    sizes: dict[str, int] = {}
    for path in sorted(Path(identity.path).glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - not a mapping
                part = file.get_slice(key)
                sizes[part.get_dtype()] = sizes.get(part.get_dtype(), 0) + torch.Size(part.get_shape()).numel()
    found = max(sizes, key=lambda name: sizes[name])
    stored: dict[str, Dtype] = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
    if found not in stored:
        raise ModelError(f"{identity.path}: its weights are stored as {found}, which can't be merged into")
    return stored[found]
