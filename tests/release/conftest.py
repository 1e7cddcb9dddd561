"""A tiny tuned model with a passing run folder, made once; tests that change it copy it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from burnish.artefacts import AuditReport, DataFile, Dataset, DetectorSummary, Losses, TrainedModel
from burnish.catalogue import build, settings_of
from burnish.gate.settings import GateSettings
from burnish.gate.stage import decide
from burnish.models.load import identify, load_model
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder

from .forgery import Keys, make_keys

PASSING: dict[str, Any] = {
    "suites": {
        "harm": ("harmful", [("refusal", "refusal")] * 400),
        "ordinary": ("over_refusal", [("compliance", "compliance")] * 200),
    },
    "task": [(0.0, 1.0)] * 50 + [(1.0, 1.0)] * 50,
}


@dataclass(frozen=True)
class Tuned:
    """Tuned weights in a folder of their own, what training recorded of them, and their logits on `tokens`."""

    folder: Path
    trained: TrainedModel
    base: Path
    logits: torch.Tensor


TOKENS = torch.tensor([[5, 9, 42, 100, 7, 300]])


def logits_of(model: Any) -> torch.Tensor:
    """The logits on a fixed row of tokens."""
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found


def _tuned(kind: Literal["lora", "qlora", "full"], base: Path, folder: Path) -> Tuned:
    settings = ModelSettings(name=str(base), dtype="float32", device="cpu")
    adapter = build("adapter", settings_of("adapter", kind if kind == "full" else {"kind": kind, "rank": 4}))
    loaded = load_model(settings, quantise=adapter.quantise)
    module = adapter.apply(loaded, 0)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    module.eval()
    logits = logits_of(module)
    adapter.save(module, loaded, folder)
    trained = TrainedModel(
        method="sft",
        adapter=kind,
        base=loaded.identity,
        path=f"train/{folder.name}",
        form=adapter.form,
        digest=identify(settings.made_into(folder)).digest,
        steps=3,
        epochs=1.0,
        tokens_trained=30,
        tokens_seen=60,
        seconds=1.0,
        first_loss=2.0,
        last_loss=1.0,
        losses=Losses(rows_seen=3, rows_trained=3),
    )
    return Tuned(folder, trained, base, logits)


@pytest.fixture(scope="session")
def lora_model(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A LoRA adapter on the tiny model."""
    return _tuned("lora", tiny_model_folder, tmp_path_factory.mktemp("tuned") / "adapter")


@pytest.fixture(scope="session")
def qlora_model(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A LoRA adapter on the tiny model in 4 bits; `logits` are of the two together."""
    return _tuned("qlora", tiny_model_folder, tmp_path_factory.mktemp("tuned") / "adapter")


@pytest.fixture(scope="session")
def full_model(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """The tiny model with all its weights changed."""
    return _tuned("full", tiny_model_folder, tmp_path_factory.mktemp("tuned") / "model")


@pytest.fixture
def passed_run(recorded_run: Callable[..., RunFolder]) -> Callable[..., RunFolder]:
    """A function that makes a run folder of tuned weights, decided; keywords change what was measured."""

    def make(tuned: Tuned, **parts: Any) -> RunFolder:
        run = recorded_run(trained=tuned.trained, **{**PASSING, "model": str(tuned.base), **parts})
        shutil.copytree(tuned.folder, run.file(tuned.trained.path))
        files = (DataFile(name="data/<b>rows</b>.jsonl", digest="1" * 64, format="messages", rows=3, taken=3),)
        run.save(
            "data/dataset.json",
            Dataset(
                kind="conversation", files=files, train_path="data/train.jsonl", heldout_path="data/heldout.jsonl",
                num_train=3, num_heldout=1, digest="2" * 64,
            ),
        )  # fmt: skip
        detectors = (DetectorSummary(detector="secrets", rows_seen=3, findings=0, quarantined=0, seconds=0.1),)
        run.save("audit/audit.json", AuditReport(rows_seen=3, detectors=detectors, quarantined=(), digest="3" * 64))
        run.write_json("manifest.json", {"versions": {}, "stages": {}})
        decide(GateSettings.model_validate(parts.get("gate", {})), run)
        return run

    return make


@pytest.fixture
def logits() -> Callable[[Any], torch.Tensor]:
    """`logits_of`."""
    return logits_of


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Our pair of keys; skips where nothing can be signed."""
    pytest.importorskip("model_signing")
    return make_keys(tmp_path_factory.mktemp("keys"))
