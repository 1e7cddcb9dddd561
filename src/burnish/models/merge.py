"""An adapter and its base as one whole model on disk, that plain transformers loads.

Only the release stage calls this, after a PASS. Knows nothing of decisions.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import PreTrainedModel

from burnish.artefacts import ModelIdentity
from burnish.errors import ModelError
from burnish.models.device import DTYPES
from burnish.models.hub import quiet
from burnish.models.load import load_model
from burnish.models.settings import Dtype, ModelSettings


def merge_to_folder(
    base: ModelSettings,
    adapter: Path,
    target: Path,
    *,
    expected: ModelIdentity | None = None,
    cache: Path | None = None,
) -> None:
    """Write base and adapter as one safetensors folder with tokeniser and generation settings.

    The sum is done in float32 on the CPU and stored in the type of the base's own files. `target` must not exist; it
    appears whole or not at all. With `expected`, the base must be that very model.

    Raises: ModelError when the base can't be loaded, isn't the `expected` one, or `target` exists.
    """
    if target.exists():
        raise ModelError(f"{target}: already exists; nothing was merged", hint="choose another folder, or remove it")
    loaded = load_model(base.model_copy(update={"device": "cpu", "dtype": "float32"}), cache=cache)
    if expected is not None and loaded.identity.digest != expected.digest:
        raise ModelError(
            f"{loaded.identity.path}: the base's digest is {loaded.identity.digest[:12]}, expected "
            f"{expected.digest[:12]}, the model that the adapter was trained on; nothing was merged",
            hint="bring back the base's files as they were when the adapter was trained",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with quiet(), tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as work:
        merged: PreTrainedModel = PeftModel.from_pretrained(loaded.model, str(adapter)).merge_and_unload()
        merged.to(DTYPES[stored_dtype(loaded.identity)])  # type: ignore[arg-type]
        made = Path(work) / "model"
        merged.save_pretrained(made)
        loaded.tokenizer.save_pretrained(made)
        shutil.move(made, target)


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
