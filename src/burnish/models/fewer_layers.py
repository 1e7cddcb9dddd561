"""A smaller model out of a model: some of its layers, evenly spaced, the first and the last among them.

What is kept is kept as it is, embedding and output head too, so that the small model begins with what the large one
knows and can be taught to do without the rest. It is written as an ordinary folder, and nothing that uses it needs to
know where it came from; `burnish_layers.json` in it says so all the same.

Source: Sanh et al., "DistilBERT", 2019, section 3 (a student out of every other layer of its teacher).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from burnish.artefacts import Artefact, ModelIdentity
from burnish.errors import ModelError
from burnish.models.hub import quiet

FILE = "burnish_layers.json"


class Layers(Artefact):
    """Which layers of which model a folder's model has, counted from 0."""

    of: ModelIdentity
    kept: tuple[int, ...]


def evenly_kept(count: int, total: int) -> tuple[int, ...]:
    """`count` of `total` layers, from 2 to all, evenly spaced, the first and the last among them."""
    return tuple(round(index * (total - 1) / (count - 1)) for index in range(count))


def write_with_layers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, of: ModelIdentity, count: int, folder: Path
) -> None:
    """Write a model with `count` of the layers of `model`, which is the model `of` and is of no use afterwards, to
    `folder`: whole or not at all. Where another process has written the same folder meanwhile, that one stays.

    Raises: ModelError when the model hasn't as many layers, its layers can't be told, or the disk is full.
    """
    total = int(model.config.get_text_config().num_hidden_layers)
    if count > total:
        raise ModelError(
            f"model.layers: got {count}, expected at most {total}, which is what {of.name} has; nothing was written",
            hint=f"set model.layers to fewer than {total}, or leave it out",
        )
    kept = evenly_kept(count, total)
    _keep(model, kept, of.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    try:
        with quiet():
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        note = Layers(of=of, kept=kept).model_dump_json(indent=2)
        (partial / FILE).write_text(note + "\n", encoding="utf-8", newline="\n")
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        if not folder.is_dir():
            raise ModelError(f"{folder}: can't be written ({error})", hint="free some space and run again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def layers_of(folder: Path) -> Layers | None:
    """Which layers of which model the folder's model has, or None where it wasn't made here.

    Raises: ModelError when its note can't be understood.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Layers.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{path}: doesn't say which layers were kept ({error}); nothing was loaded",
            hint="delete its folder; it is made again from the whole model",
        ) from error


def _keep(model: PreTrainedModel, kept: Sequence[int], name: str) -> None:
    """Take all other layers out, and what the configuration says of them."""
    config: Any = model.config.get_text_config()
    total = int(config.num_hidden_layers)
    decoder: Any = model.get_decoder()  # type: ignore[no-untyped-call]
    stacks = [
        key for key, child in decoder.named_children() if isinstance(child, nn.ModuleList) and len(child) == total
    ]
    if len(stacks) != 1:
        raise ModelError(
            f"model.layers: {name} is a {type(model).__name__}, whose decoder has {len(stacks)} stacks of {total} "
            "layers, expected one; nothing was written",
            hint="name a smaller model of the same tokeniser as the student instead",
        )
    layers = getattr(decoder, stacks[0])
    setattr(decoder, stacks[0], nn.ModuleList(layers[index] for index in kept))
    for key, value in list(vars(config).items()):
        if "layer" in key and isinstance(value, list | tuple) and len(value) == total:
            setattr(config, key, [value[index] for index in kept])
    config.num_hidden_layers = len(kept)
