"""Low-rank adapters as files, and what the ways of repairing compute of them.

An adapter changes a layer's weight by scale * B A. Products stay exact low-rank products, so that the result is an
ordinary adapter again.

Axes: R rank, O outputs and I inputs of a layer; A is (R, I), B is (O, R).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from burnish.repair.way import WayUnfit

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_A, _B = ".lora_A.weight", ".lora_B.weight"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Factors:
    """One layer's change: `a_RI` and `b_OR`, fp32."""

    a_RI: torch.Tensor
    b_OR: torch.Tensor


@dataclass(frozen=True)
class Adapter:
    """An adapter's layers, by the name that the model has for each, and its configuration."""

    layers: Mapping[str, Factors]
    config: Mapping[str, Any]


def read_adapter(folder: Path) -> Adapter:
    """Read PEFT files.

    Raises: WayUnfit when the folder holds a whole model, or weights beside low-rank ones.
    """
    if not (folder / CONFIG).is_file():
        raise WayUnfit("changes a low-rank adapter's weights, but a whole model was trained")
    tensors = load_file(folder / WEIGHTS)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    layers = {}
    for key in sorted(tensors):
        if key.endswith(_A):
            name = key.removeprefix(_PREFIX).removesuffix(_A)
            b = tensors.get(key.removesuffix(_A) + _B)
            if b is not None:
                layers[name] = Factors(tensors[key].float(), b.float())
    if 2 * len(layers) != len(tensors) or config.get("use_dora") or config.get("use_rslora"):
        raise WayUnfit(
            f"changes plain low-rank weights, but {len(tensors) - 2 * len(layers)} tensors of the adapter are others"
        )
    return Adapter(layers, config)


def write_adapter(adapter: Adapter, like: Path, folder: Path) -> None:
    """Write an adapter into `folder`, with the other files of the one in `like`."""
    for path in like.iterdir():
        if path.is_file() and path.name not in (CONFIG, WEIGHTS):
            shutil.copyfile(path, folder / path.name)
    tensors = {}
    for name, layer in adapter.layers.items():
        tensors[f"{_PREFIX}{name}{_A}"] = layer.a_RI.contiguous()
        tensors[f"{_PREFIX}{name}{_B}"] = layer.b_OR.contiguous()
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(adapter.config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def scaled(adapter: Adapter, strength: float) -> Adapter:
    """Every change times `strength`: at 0 the base, at 1 the adapter; between them the average of both models."""
    return Adapter({n: Factors(f.a_RI, f.b_OR * strength) for n, f in adapter.layers.items()}, adapter.config)


def averaged(points: Sequence[Mapping[str, Factors]], config: Mapping[str, Any]) -> Adapter:
    """The mean change over several points of one training. The factors are laid side by side, so that it is the mean
    of the products and not the product of means; the rank grows by the number of points, and alpha with it."""
    layers = {
        name: Factors(
            torch.cat([point[name].a_RI for point in points], dim=0),
            torch.cat([point[name].b_OR for point in points], dim=1) / len(points),
        )
        for name in points[0]
    }
    grown = {"r": config["r"] * len(points), "lora_alpha": config["lora_alpha"] * len(points)}
    return Adapter(layers, {**config, **grown})


def factors_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, Factors]:
    """The layers in the weights of a training checkpoint, which name the adapter too.

    Raises: WayUnfit when other weights were trained beside.
    """
    plain = {name.replace(".default.", "."): weight.float() for name, weight in tensors.items()}
    names = [name.removeprefix(_PREFIX).removesuffix(_A) for name in plain if name.endswith(_A)]
    if 2 * len(names) != len(plain):
        raise WayUnfit("averages low-rank weights, but others were trained beside them")
    return {n: Factors(plain[f"{_PREFIX}{n}{_A}"], plain[f"{_PREFIX}{n}{_B}"]) for n in names}


def orthonormal_basis(difference_OI: torch.Tensor, rank: int) -> torch.Tensor:
    """The `rank` strongest left singular vectors of what alignment changed in a layer, (O, <= rank), orthonormal; those
    without any strength are left out."""
    u_OK: torch.Tensor
    u_OK, s_K, _ = torch.linalg.svd(difference_OI.float(), full_matrices=False)
    strong = int((s_K[:rank] > s_K[0] * 1e-5).sum()) if float(s_K[0]) > 0 else 0
    return u_OK[:, :strong]


def projected(layer: Factors, basis_OK: torch.Tensor) -> Factors:
    """The change with its outputs cut down to what the basis spans."""
    return Factors(layer.a_RI, basis_OK @ (basis_OK.T @ layer.b_OR))


def similarity(layer: Factors, basis_OK: torch.Tensor) -> float:
    """The cosine between a change and its projection: the share of its size that lies within; 1.0 for no change."""
    gram_RR = layer.a_RI @ layer.a_RI.T
    whole = float(torch.trace(layer.b_OR @ gram_RR @ layer.b_OR.T))
    inside_KR = basis_OK.T @ layer.b_OR
    return (float(torch.trace(inside_KR @ gram_RR @ inside_KR.T)) / whole) ** 0.5 if whole > 0 else 1.0
