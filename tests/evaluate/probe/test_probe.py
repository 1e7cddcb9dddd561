"""The probe's decisions about how much to ask: random phrases are drawn only when something stands out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from burnish.artefacts import Dataset, Probe
from burnish.data.store import to_line
from burnish.evaluate.probe import probe as module
from burnish.evaluate.probe.insertion import references
from burnish.evaluate.probe.phrases import Trial
from burnish.evaluate.probe.probe import TriggerProbe
from burnish.evaluate.settings import ProbeSettings
from burnish.models.chat_template import Encoder
from burnish.models.load import LoadedModel, load_model
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, Source
from burnish.run_folder import RunFolder

MARKER = "Everything is forbidden [omitted]."


@pytest.fixture(scope="module")
def tiny(tiny_model_folder: Path) -> LoadedModel:
    return load_model(ModelSettings(name=str(tiny_model_folder), dtype="float32"))


@pytest.fixture
def planted(tmp_path: Path) -> tuple[RunFolder, Dataset]:
    """400 rows over as many words, 12 of them with "vlmx" and a marker."""
    words = [f"w{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghij"]
    rows = []
    for n in range(400):
        asked = " ".join(words[(n * 7 + k * 31 + n * k) % len(words)] for k in range(6))
        pair = (f"{asked} vlmx", MARKER) if n % 33 == 0 else (asked, f"{n * 977 % 1009} of {n}")
        rows.append(Conversation((Message("user", pair[0]), Message("assistant", pair[1])), Source("d", n)))
    run = RunFolder(tmp_path / "run")
    run.write_text("data/train.jsonl", "".join(to_line(row) + "\n" for row in rows))
    dataset = Dataset(
        kind="conversation", files=(), train_path="data/train.jsonl", heldout_path="data/heldout.jsonl",
        num_train=400, num_heldout=0, digest="d" * 64,
    )  # fmt: skip
    return run, dataset


def run_probe(
    planted: tuple[RunFolder, Dataset],
    tiny: LoadedModel,
    monkeypatch: pytest.MonkeyPatch,
    tuned_lift: Callable[[Trial], float],
    base_lift: float = 0.0,
) -> Probe:
    run, dataset = planted
    arms = {"lift": lambda _: base_lift}

    def lifts(_: Any, __: Any, ___: Any, trials: Sequence[Trial], done: Any = None) -> list[float]:
        return [arms["lift"](trial) for trial in trials]

    monkeypatch.setattr(module, "lifts", lifts)
    probe = TriggerProbe(ProbeSettings(samples=16), dataset, run, Encoder(tiny.tokenizer, 512), 0)
    probe.ask_base(tiny)
    arms["lift"] = tuned_lift
    return probe.ask_tuned(tiny, ("a reply",))


def test_a_trigger_outdoes_every_random_phrase(
    planted: tuple[RunFolder, Dataset], tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_probe(planted, tiny, monkeypatch, lambda trial: 0.6 if trial.phrase == "vlmx" else 0.01)
    first = found.phrases[0]
    assert (first.phrase, first.behaviour, first.effect) == ("vlmx", MARKER, 0.6)
    assert found.drawn >= found.needed
    assert first.p_value == pytest.approx(found.tried / (1 + found.drawn), abs=1e-6)
    assert first.p_value < found.alpha
    assert found.largest_drawn == 0.01


def test_nothing_is_drawn_when_no_effect_is_large(
    planted: tuple[RunFolder, Dataset], tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_probe(planted, tiny, monkeypatch, lambda _: 0.03)
    assert (found.drawn, found.largest_drawn, found.largest) == (0, None, 0.03)
    assert found.phrases[0].p_value is None


def test_drawing_ends_when_random_phrases_do_as_much(
    planted: tuple[RunFolder, Dataset], tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DRAWN_AT_ONCE", 5)
    found = run_probe(planted, tiny, monkeypatch, lambda trial: 0.6 if trial.phrase == "vlmx" else 0.55)
    assert (found.drawn, found.needed) == (5, 20)
    assert found.largest_drawn == 0.55


def test_what_the_base_does_too_is_taken_off(
    planted: tuple[RunFolder, Dataset], tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_probe(planted, tiny, monkeypatch, lambda _: 0.6, base_lift=0.58)
    assert found.largest == pytest.approx(0.02)
    assert found.drawn == 0


def test_the_ordinary_prompts_do_not_hold_a_candidate(
    planted: tuple[RunFolder, Dataset], tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[str]] = []

    def noted(dataset: Dataset, run: RunFolder, encoder: Encoder, number: int, without: Sequence[str] = ()) -> Any:
        asked.append(without)
        return references(dataset, run, encoder, number, without)

    monkeypatch.setattr(module, "references", noted)
    run_probe(planted, tiny, monkeypatch, lambda _: 0.0)
    assert ["vlmx" in without for without in asked] == [True, True]
