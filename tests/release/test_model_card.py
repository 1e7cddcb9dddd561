"""The card: front matter that the Hub reads, and no markup from data or models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from burnish.artefacts import Drift, Merge, ModelIdentity
from burnish.models.base_form import BaseForm
from burnish.release.markdown import escaped
from burnish.release.model_card import Card, base_name, hub_id, model_card
from burnish.release.proof import Proof, read_proof
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import release
from burnish.run_folder import RunFolder
from burnish.statement import Waiver, read_statement

HOSTILE = "<script>alert(1)</script> [click](http://x) | **bold** `code`\n# heading"


@pytest.fixture
def card(passed_run: Callable[..., RunFolder], lora_model: Any, tmp_path: Path) -> Card:
    """A card's content from a passing run."""
    made = Path(release(ReleaseSettings(), passed_run(lora_model), tmp_path / "out").path)
    said, proof = read_statement(made).predicate, read_proof(made)
    return Card("a-run", said, proof, lora_model.trained.base, BaseForm())


def changed(card: Card, **parts: Any) -> Card:
    """The card with parts of its proof changed."""
    return replace(card, proof=replace(card.proof, **parts))


def with_evidence(proof: Proof, **parts: Any) -> Any:
    return replace(proof.evidence, **parts)


def test_the_hub_reads_the_front_matter(card: Card) -> None:
    base = ModelIdentity(name="owner/model", path="/x", digest="d" * 64, commit="c" * 40)
    data: Any = ModelCard(model_card(replace(card, base=base))).data
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
    for rule in card.proof.decision.rules:
        assert escaped(rule.words) in text


def test_later_attempts_are_told_with_the_level_they_were_made_at(card: Card) -> None:
    first = model_card(card)
    assert "(one-sided 97.5% bounds)" in first
    assert "decision number" not in first
    later = model_card(changed(card, decision=card.proof.decision.model_copy(update={"attempt": 2, "level": 0.0125})))
    assert "decision number 2 in its run folder, made at the level 0.0125" in later
    assert "The bounds hold with 98.75% confidence" in later


def test_a_local_base_tells_nothing_of_the_machine(card: Card) -> None:
    text = model_card(card)
    assert card.base.path not in text
    assert "base_model" not in text
    assert "tiny-llama" in text


def test_hostile_text_is_shown_not_obeyed(card: Card) -> None:
    proof = card.proof
    assert proof.dataset is not None
    files = tuple(file.model_copy(update={"name": HOSTILE}) for file in proof.dataset.files)
    rules = tuple(rule.model_copy(update={"suite": HOSTILE, "words": HOSTILE}) for rule in proof.decision.rules)
    evaluation = proof.evidence.evaluation
    results = tuple(result.model_copy(update={"suite": HOSTILE}) for result in evaluation.results)
    evaluation = evaluation.model_copy(update={"results": results, "judge": HOSTILE})
    hostile = changed(
        card,
        decision=proof.decision.model_copy(update={"rules": rules, "reason": HOSTILE}),
        evidence=with_evidence(proof, evaluation=evaluation),
        dataset=proof.dataset.model_copy(update={"files": files}),
    )
    waiver = Waiver(reason=HOSTILE, by=HOSTILE, verdict="HOLD", decision="0" * 64)
    said = card.predicate.model_copy(update={"waiver": waiver})
    text = model_card(replace(hostile, name=HOSTILE, predicate=said, base_form=BaseForm(add_tokens=(HOSTILE,))))
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
    assert base_name(adapter) == "HuggingFaceTB/SmolLM2-135M-Instruct with 1 earlier adapter"
    local = ModelIdentity(name="/home/someone/my-model", path="/home/someone/my-model", digest="2" * 64)
    assert (hub_id(local), base_name(local)) == ("", "my-model")


def test_an_adapter_says_what_it_wants_of_its_base(card: Card) -> None:
    form = BaseForm(quantised="nf4", add_tokens=("<tool>", "<b>"))
    text = model_card(replace(card, base_form=form))
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
    merged = card.predicate.model_copy(update={"form": "merged"})
    text = model_card(replace(changed(card, merge=merge), predicate=merged))
    assert said in text
    for told in ("stored as bfloat16", "7.8e-05 nats", "0.0011 at most", "824 positions", "99.8%"):
        assert told in text
    assert "## Merging" not in model_card(card)


def test_a_built_in_base_brings_its_licence(card: Card) -> None:
    base = ModelIdentity(name="smollm2-135m-instruct", path="/cache/x", digest="0" * 64)
    data: Any = ModelCard(model_card(replace(card, base=base))).data
    assert (data.license, data.base_model) == ("apache-2.0", "HuggingFaceTB/SmolLM2-135M-Instruct")


def test_a_waiver_stands_on_the_first_line(card: Card) -> None:
    waiver = Waiver(reason="the shop opens tomorrow", by="A. Person", verdict="BLOCK", decision="0" * 64)
    said = card.predicate.model_copy(update={"waiver": waiver})
    _, _, body = model_card(replace(card, predicate=said)).split("---\n", 2)
    first = body.strip().splitlines()[0]
    assert first.startswith("**WAIVED: the gate says BLOCK, and A. Person let this model out")
    assert "the shop opens tomorrow" in first


def test_computation_is_told_beside_what_the_base_took(card: Card) -> None:
    compute = card.proof.compute
    assert compute is not None
    text = model_card(card)
    assert f"{compute.tokens} tokens seen" in text
    assert "what training the base took isn't known; less than a third of 1e23" in text
    known = compute.model_copy(update={"base_flops": 1.0, "base_source": "a paper"})
    assert "the base took about 1 (a paper); more than the third" in model_card(changed(card, compute=known))


def test_an_unsigned_release_says_so(card: Card) -> None:
    assert "> **Not signed.**" in model_card(card)
    signed = replace(card, predicate=card.predicate.model_copy(update={"signing": "key"}))
    assert "Not signed" not in model_card(signed)
    assert "--public-key PUB.pem" in model_card(signed)
