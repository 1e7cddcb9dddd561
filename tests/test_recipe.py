"""Recipes: every fault at once, with its line and a did-you-mean; a resolved recipe reads back as itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.errors import RecipeError
from burnish.recipe import dump_recipe, load_recipe, parse_recipe

GOOD = "name: trial\ndata:\n  train: rows.jsonl\n"

FIVE_FAULTS = """\
name: ../escape
sede: 3
data:
  train: rows.jsonl
  heldout_fraction: 1.5
train:
  adapter: {kind: lora, rnak: 8}
  method: stf
"""


def test_a_short_recipe_has_every_default() -> None:
    recipe = parse_recipe(GOOD)
    assert recipe.model.name == "smollm2-135m-instruct"
    assert recipe.train.adapter.kind == "lora"
    assert {suite.kind for suite in recipe.evaluate.safety.suites} == {"harmful", "over_refusal"}


def test_a_dumped_recipe_reads_back_equal() -> None:
    recipe = parse_recipe(GOOD, ["train.adapter.rank=8", "seed=7"])
    assert parse_recipe(dump_recipe(recipe)) == recipe


def test_all_five_faults_are_told_at_once_with_their_lines() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(FIVE_FAULTS, name="r.yaml")
    message = caught.value.message
    assert "r.yaml:1: name" in message
    assert "r.yaml:2: sede: unknown setting; did you mean 'seed'?" in message
    assert "r.yaml:5: data.heldout_fraction: got 1.5" in message
    assert "r.yaml:7: train.adapter.rnak: unknown setting; did you mean 'rank'?" in message
    assert "r.yaml:8: train.method: no method is called 'stf'; did you mean 'sft'?" in message
    assert "5 faults; nothing was run" in message


def test_a_repeated_key_is_a_fault() -> None:
    with pytest.raises(RecipeError, match=r"4: name: stands twice"):
        parse_recipe(GOOD + "name: again\n", name="r.yaml")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text", "a: [1", "\x00"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="nothing was run"):
        parse_recipe(text)


def test_overrides_win_and_open_short_forms() -> None:
    recipe = parse_recipe(GOOD + "model: other/model\n", ["model.revision=v2", "train.epochs=2", "name=b"])
    assert (recipe.model.name, recipe.model.revision, recipe.name) == ("other/model", "v2", "b")
    assert recipe.train.epochs == 2


@pytest.mark.parametrize("override", ["train.epochs", "=3", "train.epochs=[1"])
def test_a_broken_override_is_told(override: str) -> None:
    with pytest.raises(RecipeError, match="--set"):
        parse_recipe(GOOD, [override])


def test_a_missing_recipe_and_one_with_a_bom(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_recipe(tmp_path / "bom.yaml").name == "trial"


def test_remote_code_and_pickle_must_be_asked_for_in_so_many_words() -> None:
    recipe = parse_recipe(GOOD)
    assert not recipe.model.allow_pickle
    assert not recipe.model.trust_remote_code
    with pytest.raises(RecipeError, match="trust_remote_code"):
        parse_recipe(GOOD + "model: {name: a/b, trust_remote_code: 'yes'}\n")
