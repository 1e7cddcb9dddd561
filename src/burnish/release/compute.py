"""How much computation the tuning took, as an estimate, beside what training the base took where that is known.

European guidelines make whoever modifies a general-purpose model its provider, as a rule of thumb, when the
modification takes more than a third of the computation that training the original took; where that isn't known, a
third of the threshold for being a general-purpose model, 10^23 operations.

Source: European Commission, Guidelines on the scope of the obligations for general-purpose AI models, C(2025) 5045
final, 18 July 2025, on downstream modifiers. The counting of 6 operations for each parameter and token is that of
Kaplan et al., "Scaling Laws for Neural Language Models" (arXiv:2001.08361, section 2.1): 2 forward, 4 backward.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from burnish.artefacts import Artefact, ModelIdentity, TrainedModel
from burnish.models.builtin import builtin_of

GENERAL_PURPOSE_FLOPS = 1e23
SHARE = 1 / 3


class Compute(Artefact):
    """`flops` are floating-point operations. Every token that training saw went forward through `parameters` weights
    (2 operations each), and errors went back through them (2); the `trained` ones among them or beside them took 2
    more. What generating, evaluating and a frozen reference model took isn't in it. `base_flops` is None where the
    training of the base isn't known; `base_source` says where it is known from."""

    parameters: int
    trained: int
    tokens: int
    flops: float
    base_flops: float | None
    base_source: str

    @property
    def limit(self) -> float:
        """What the rule of thumb compares with, in operations."""
        return SHARE * (self.base_flops or GENERAL_PURPOSE_FLOPS)


def estimated_flops(parameters: int, trained: int, tokens: int) -> float:
    """Operations of training on `tokens`: 6·N·D where all N weights are trained."""
    return float(tokens) * (4 * parameters + 2 * trained)


def compute_of(trained: TrainedModel, weights: Path) -> Compute | None:
    """The estimate for a tuned model whose files lie in `weights`, and its base where its identity says; None when the
    parameters can't be counted (weights that aren't safetensors)."""
    tuned = parameters_in([weights])
    if trained.form == "adapter":
        base = parameters_in(Path(identity.path) for identity in _chain(trained.base))
        whole = None if base is None or tuned is None else base + tuned
    else:
        whole = tuned
    if whole is None or tuned is None:
        return None
    known, source = _base_flops(trained.base)
    return Compute(
        parameters=whole,
        trained=tuned,
        tokens=trained.tokens_seen,
        flops=estimated_flops(whole, tuned, trained.tokens_seen),
        base_flops=known,
        base_source=source,
    )


def parameters_in(folders: Iterable[Path]) -> int | None:
    """The numbers in all safetensors files of `folders`; None where a folder has no such file."""
    from safetensors import safe_open

    total = 0
    for folder in folders:
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            return None
        for file in files:
            with safe_open(file, framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - not a mapping
                    size = 1
                    for length in tensors.get_slice(name).get_shape():
                        size *= length
                    total += size
    return total


def _chain(identity: ModelIdentity) -> Iterable[ModelIdentity]:
    """The model and all that it was made on."""
    found: ModelIdentity | None = identity
    while found is not None:
        yield found
        found = found.base


def _base_flops(identity: ModelIdentity) -> tuple[float | None, str]:
    *_, root = _chain(identity)
    builtin = builtin_of(root)
    if builtin is None:
        return None, ""
    return 6.0 * builtin.parameters * builtin.training_tokens, f"6ND from the model card of {builtin.hub_id}"
