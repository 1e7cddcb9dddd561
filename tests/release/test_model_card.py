"""The card: front matter that the Hub reads, and no markup from data or models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import ModelCard

from burnish.artefacts import AuditReport, Dataset, Decision, Drift, Evaluation, Merge, ModelIdentity, TrainedModel
from burnish.models.base_form import BaseForm
from burnish.release.model_card import Card, base_name, escaped, hub_id, model_card
from burnish.run_folder import RunFolder

HOSTILE = "<script>alert(1)</script> [click](http://x) | **bold** `code`\n# heading"


@pytest.fixture
def card(passed_run: Callable[..., RunFolder], lora_model: Any) -> Card:
    """A card's content from a passing run."""
    run = passed_run(lora_model)
    return Card(
        name="a-run",
        form="adapter",
        decision=run.load("gate/decision.json", Decision),
        trained=run.load("train/train.json", TrainedModel),
        evaluation=run.load("evaluate/evaluation.json", Evaluation),
        dataset=run.load("data/dataset.json", Dataset),
        audit=run.load("audit/audit.json", AuditReport),
        merge=None,
        base_form=BaseForm(),
    )


def test_the_hub_reads_the_front_matter(card: Card) -> None:
    base = ModelIdentity(name="owner/model", path="/x", digest="d" * 64, commit="c" * 40)
    trained = card.trained.model_copy(update={"base": base})
    data: Any = ModelCard(model_card(Card(**{**vars(card), "trained": trained}))).data
    assert (data.base_model, data.library_name, data.model_name) == ("owner/model", "peft", "a-run")
    assert data.tags == ["burnish", "sft", "lora"]
    found = {(result.dataset_name, result.metric_type): result.metric_value for result in data.eval_results or []}
    assert found["harm", "harmful_compliance"] == 0.0
    assert found["task", "task_gain"] == 1.0


def test_the_evidence_is_told(card: Card) -> None:
    text = model_card(card)
    assert "## Verdict: PASS" in text
    assert "400 refusal" in text
    assert "What the base\n  did wrong, this model may do too" in text
    for rule in card.decision.rules:
        assert escaped(rule.words) in text


def test_a_local_base_tells_nothing_of_the_machine(card: Card) -> None:
    text = model_card(card)
    assert card.trained.base.path not in text
    assert "base_model" not in text
    assert "tiny-llama" in text


def test_hostile_text_is_shown_not_obeyed(card: Card) -> None:
    assert card.dataset is not None
    files = tuple(file.model_copy(update={"name": HOSTILE}) for file in card.dataset.files)
    rules = tuple(rule.model_copy(update={"suite": HOSTILE, "words": HOSTILE}) for rule in card.decision.rules)
    results = tuple(result.model_copy(update={"suite": HOSTILE}) for result in card.evaluation.results)
    text = model_card(
        Card(
            name=HOSTILE,
            form="adapter",
            decision=card.decision.model_copy(update={"rules": rules, "reason": HOSTILE}),
            trained=card.trained,
            evaluation=card.evaluation.model_copy(update={"results": results, "judge": HOSTILE}),
            dataset=card.dataset.model_copy(update={"files": files}),
            audit=card.audit,
            merge=None,
            base_form=BaseForm(add_tokens=(HOSTILE,)),
        )
    )
    _, _, body = text.split("---\n", 2)
    assert "<script>" not in body
    assert "\n# heading" not in body
    assert "[click](" not in body
    assert "**bold**" not in body
    read: Any = ModelCard(text).data
    assert read.model_name is not None


def test_escaping() -> None:
    assert escaped("a|b*c\n<i>") == r"a\|b\*c &lt;i&gt;"
    assert escaped("a\u202eb\x1b") == r"a\\u202eb\\x1b"


def test_what_a_base_is_called() -> None:
    builtin = ModelIdentity(name="smollm2-135m-instruct", path="/cache/x", digest="0" * 64)
    assert hub_id(builtin) == "HuggingFaceTB/SmolLM2-135M-Instruct"
    adapter = ModelIdentity(name="/runs/1/train/adapter", path="/runs/1/train/adapter", digest="1" * 64, base=builtin)
    assert hub_id(adapter) == "HuggingFaceTB/SmolLM2-135M-Instruct"
    local = ModelIdentity(name="/home/someone/my-model", path="/home/someone/my-model", digest="2" * 64)
    assert (hub_id(local), base_name(local)) == ("", "my-model")


def test_an_adapter_says_what_it_wants_of_its_base(card: Card) -> None:
    form = BaseForm(quantised="nf4", add_tokens=("<tool>", "<b>"))
    text = model_card(Card(**{**vars(card), "base_form": form}))
    assert "AutoTokenizer, BitsAndBytesConfig" in text
    assert "quantization_config=four_bits)" in text
    assert "base.resize_token_embeddings(" in text
    assert "&lt;tool&gt;, &lt;b&gt;." in text
    plain = model_card(card)
    assert "BitsAndBytes" not in plain
    assert "resize" not in plain


@pytest.mark.parametrize(
    ("base", "said"), [("dequantised", "values that the base's 4-bit"), ("as it was", "the base's weights, and")]
)
def test_what_merging_changed_is_told(card: Card, base: Any, said: str) -> None:
    drift = Drift(positions=824, mean=7.8e-5, largest=1.1e-3, same_token=0.9976)
    merge = Merge(base=base, stored="bfloat16", drift=drift, tolerance=0.01)
    text = model_card(Card(**{**vars(card), "form": "merged", "merge": merge}))
    assert said in text
    for told in ("stored as bfloat16", "7.8e-05 nats", "0.0011 at most", "824 positions", "99.8%"):
        assert told in text
    assert "## Merging" not in model_card(card)
