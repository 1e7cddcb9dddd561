"""What is computed of adapters, by hand, and their files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.repair.way import WayUnfit
from burnish.repair.weights import (
    Adapter,
    Factors,
    averaged,
    factors_of,
    orthonormal_basis,
    projected,
    read_adapter,
    scaled,
    similarity,
    write_adapter,
)

# A rank-one change of a layer with two inputs and three outputs: b a = [[2, 4], [0, 0], [6, 12]].
LAYER = Factors(torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0], [0.0], [6.0]]))


def change(layer: Factors) -> list[list[float]]:
    found: list[list[float]] = (layer.b_OR @ layer.a_RI).tolist()
    return found


def test_scaling_scales_the_change() -> None:
    half = scaled(Adapter({"layer": LAYER}, {"r": 1}), 0.5)
    assert change(half.layers["layer"]) == [[1.0, 2.0], [0.0, 0.0], [3.0, 6.0]]


def test_the_average_is_of_products_and_not_of_factors() -> None:
    start = Factors(torch.tensor([[1.0, 0.0]]), torch.zeros(3, 1))
    mean = averaged([{"layer": start}, {"layer": LAYER}], {"r": 1, "lora_alpha": 4})
    assert change(mean.layers["layer"]) == [[1.0, 2.0], [0.0, 0.0], [3.0, 6.0]]
    # Alpha over rank, by which the product is scaled, stays 4.
    assert mean.config == {"r": 2, "lora_alpha": 8}


def test_the_basis_is_orthonormal_and_has_no_direction_that_alignment_did_not_take() -> None:
    difference = torch.tensor([[0.0, 0.0], [0.0, 7.0], [0.0, 0.0]])  # alignment changed the second output alone
    basis = orthonormal_basis(difference, 2)
    assert basis.abs().flatten().tolist() == pytest.approx([0.0, 1.0, 0.0])
    random = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    kept = orthonormal_basis(random, 3)
    torch.testing.assert_close(kept.T @ kept, torch.eye(3), atol=1e-5, rtol=0)
    assert orthonormal_basis(torch.zeros(3, 2), 2).shape == (3, 0)


def test_the_projection_keeps_what_lies_within_and_takes_the_rest_away() -> None:
    third = torch.tensor([[0.0], [0.0], [1.0]])
    assert change(projected(LAYER, third)) == [[0.0, 0.0], [0.0, 0.0], [6.0, 12.0]]
    # Sizes: sqrt(6^2 + 12^2) of sqrt(2^2 + 4^2 + 6^2 + 12^2).
    assert similarity(LAYER, third) == pytest.approx((180 / 200) ** 0.5)
    slanted = torch.tensor([[0.6], [0.0], [0.8]])  # 2 * 0.6 + 6 * 0.8 = 6 of it
    assert [row[0] for row in change(projected(LAYER, slanted))] == pytest.approx([3.6, 0.0, 4.8])
    twice = projected(projected(LAYER, slanted), slanted)
    torch.testing.assert_close(twice.b_OR, projected(LAYER, slanted).b_OR)
    assert similarity(Factors(LAYER.a_RI, torch.zeros(3, 1)), third) == 1.0


def test_an_adapter_is_written_as_it_was_read_with_what_lies_beside(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    names = ("base_model.model.a.q_proj.lora_A.weight", "base_model.model.a.q_proj.lora_B.weight")
    save_file(dict(zip(names, (LAYER.a_RI, LAYER.b_OR), strict=True)), source / "adapter_model.safetensors")
    (source / "adapter_config.json").write_text(json.dumps({"r": 1, "lora_alpha": 2}))
    (source / "burnish_base.json").write_text("{}")
    adapter = read_adapter(source)
    assert list(adapter.layers) == ["a.q_proj"]
    write_adapter(scaled(adapter, 0.5), source, target)
    written = load_file(target / "adapter_model.safetensors")
    assert written[names[1]].tolist() == [[1.0], [0.0], [3.0]]
    assert json.loads((target / "adapter_config.json").read_text()) == {"r": 1, "lora_alpha": 2}
    assert (target / "burnish_base.json").read_text() == "{}"


def test_what_is_more_than_low_rank_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WayUnfit, match="a whole model was trained"):
        read_adapter(tmp_path)
    tensors = {"base_model.model.head.weight": torch.zeros(2, 2)}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(WayUnfit, match="1 tensors of the adapter are others"):
        read_adapter(tmp_path)
    with pytest.raises(WayUnfit, match="others were trained beside"):
        factors_of(tensors)


def test_a_checkpoint_s_names_are_the_adapter_s() -> None:
    tensors = {
        "base_model.model.a.q_proj.lora_A.default.weight": LAYER.a_RI,
        "base_model.model.a.q_proj.lora_B.default.weight": LAYER.b_OR,
    }
    assert change(factors_of(tensors)["a.q_proj"]) == change(LAYER)
