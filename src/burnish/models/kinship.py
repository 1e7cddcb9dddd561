"""Whether two models began from the same weights, as far as can be told from their files.

What is known of where they came from is asked first: an adapter's base, the model whose layers were kept. Where that
says nothing, a matrix that both have is compared: training moves weights far less than two random beginnings lie apart.

Source: Cloud et al., "Subliminal Learning", 2025 (arXiv 2507.14805): traits pass from teacher to student through data
that shows nothing of them where both share an initialisation, and hardly where they don't.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from burnish.artefacts import ModelIdentity
from burnish.models.fewer_layers import layers_of

_VALUES = 4 * 2**20
_ALIKE, _UNLIKE = 0.5, 0.05


def share_initialisation(one: ModelIdentity, other: ModelIdentity) -> bool | None:
    """Whether they began from the same weights; None where it can't be told, as of a model behind a server, or of two
    that have no matrix of one name and shape.

    Raises: ModelError when a model's own note of where it came from can't be understood.
    """
    if not one.path or not other.path:
        return None
    ours, theirs = list(_forebears(one)), list(_forebears(other))
    if {each.digest for each in ours} & {each.digest for each in theirs}:
        return True
    try:
        correlation = _correlation(Path(ours[-1].path), Path(theirs[-1].path))
    except (OSError, SafetensorError):
        return None
    if correlation is None or _UNLIKE <= correlation < _ALIKE:
        return None
    return correlation >= _ALIKE


def _forebears(identity: ModelIdentity) -> Iterator[ModelIdentity]:
    """The model and all that it is known to have come from, the nearest first."""
    found: ModelIdentity | None = identity
    while found is not None:
        yield found
        kept = layers_of(Path(found.path)) if found.base is None else None
        found = kept.of if kept else found.base


def _correlation(one: Path, other: Path) -> float | None:
    """Of the largest matrix of one name and shape in both, or as much of it as is enough; None where there is none."""
    ours, theirs = _matrices(one), _matrices(other)
    common = [name for name in ours if name in theirs and ours[name][1] == theirs[name][1]]
    if not common:
        return None
    name = max(common, key=lambda name: ours[name][1][0] * ours[name][1][1])
    vectors = (_part(places[name][0], name) for places in (ours, theirs))
    return float(torch.corrcoef(torch.stack(list(vectors)))[0, 1])


def _matrices(folder: Path) -> dict[str, tuple[Path, tuple[int, int]]]:
    """Each matrix of the folder's weights: the file that it is in, and its shape."""
    found: dict[str, tuple[Path, tuple[int, int]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - it isn't a mapping
                shape = file.get_slice(name).get_shape()
                if len(shape) == 2:
                    found[name] = (path, (shape[0], shape[1]))
    return found


def _part(path: Path, name: str) -> torch.Tensor:
    with safe_open(path, "pt") as file:
        whole = file.get_slice(name)
        rows, columns = whole.get_shape()
        part: torch.Tensor = whole[: max(1, min(rows, _VALUES // columns))]
    return part.float().flatten()
