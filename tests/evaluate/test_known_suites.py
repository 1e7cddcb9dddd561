"""Suites by name: what a name is spelled out to, copies of files, and both directions."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from burnish.data import hub
from burnish.errors import DataError, RecipeError
from burnish.evaluate.known_suites import access_to, known_suites
from burnish.evaluate.settings import SafetySettings, SuiteSettings
from burnish.evaluate.suites import load_suite
from burnish.recipe import dump_recipe, parse_recipe

SHARED = Path(__file__).resolve().parents[3] / "shared/data/safety"
ASKED = (
    "xstest", "strongreject", "harmbench", "advbench", "jailbreakbench", "do_not_answer", "ailuminate", "or_bench",
    "sorry_bench", "wildguardtest",
)  # fmt: skip


def suites(*entries: object) -> tuple[SuiteSettings, ...]:
    return SafetySettings.model_validate({"suites": list(entries)}).suites


def test_every_known_suite_can_be_named_and_says_its_terms() -> None:
    assert tuple(known_suites()) == ASKED
    for name, known in known_suites().items():
        assert known.licence
        assert known.parts
        assert {part.kind for part in known.parts.values()} == {s.kind for s in suites(name)}
        assert {s.suite for s in suites(name)} == set(known.parts)


def test_everything_is_pinned() -> None:
    for known in known_suites().values():
        if known.path.startswith("hf:"):
            assert re.fullmatch(r"[0-9a-f]{40}", known.revision)
        else:
            assert re.search(r"githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/", known.path)


def test_a_name_with_two_directions_is_two_suites_unless_one_is_picked() -> None:
    assert [(s.suite, s.kind) for s in suites("xstest")] == [
        ("xstest_unsafe", "harmful"),
        ("xstest_safe", "over_refusal"),
    ]
    (safe,) = suites({"suite": "xstest", "kind": "over_refusal", "rows": 40})
    assert (safe.where, safe.rows, safe.sha256[:4]) == ({"label": "safe"}, 40, "1178")
    assert suites({"suite": "xstest_safe", "rows": 40}) == (safe,)
    (some,) = suites({"suite": "xstest_safe", "where": {"type": "homonyms"}})
    assert some.where == {"label": "safe", "type": "homonyms"}
    (toxic,) = suites("or_bench_toxic")
    assert (toxic.path, toxic.config, toxic.split) == ("hf:bench-llm/or-bench", "or-bench-toxic", "train")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("xtest", "did you mean 'xstest'"),
        ({"suite": "strongreject", "kind": "over_refusal"}, "only prompts of kind harmful"),
        ({"suite": "xstest", "name": "mine"}, "is two suites"),
        ({"suite": "xstest_safe", "rwos": 3}, "rwos"),
        ({"suite": "xstest_safe", "where": "safe"}, "where"),
    ],
)
def test_what_cannot_be_meant_is_refused(entry: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        suites(entry)


def test_a_resolved_recipe_spells_the_suite_out_and_reads_back_the_same() -> None:
    text = "name: a\ndata: {train: x.jsonl}\nevaluate: {safety: {suites: [strongreject, {suite: xstest, rows: 9}]}}\n"
    recipe = parse_recipe(text)
    dumped = dump_recipe(recipe)
    assert "suite: xstest" not in dumped
    assert "d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d" in dumped
    assert parse_recipe(dumped) == recipe
    with pytest.raises(RecipeError, match="no suite is called 'strongrejct'"):
        parse_recipe(text.replace("strongreject", "strongrejct"))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data folder isn't there")
def test_a_copy_of_the_file_is_read_by_the_suites_own_columns() -> None:
    unsafe, safe = suites({"suite": "xstest", "path": str(SHARED / "xstest_prompts.csv")})
    assert (safe.revision, safe.sha256) == ("", "")
    loaded = load_suite(safe, Path())
    assert (len(loaded.prompts), len(load_suite(unsafe, Path()).prompts)) == (250, 200)
    assert loaded.prompts[0].category == "homonyms"
    assert "digest 11783fb294ed" in loaded.source


def test_a_gated_set_says_how_to_get_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(settings: object) -> object:
        raise DataError("gated", hint="check the name")

    monkeypatch.setattr(hub, "open_set", closed)
    (gated,) = suites("sorry_bench")
    with pytest.raises(DataError, match="gated") as error:
        load_suite(gated, Path())
    assert "accept the terms" in error.value.hint
    assert access_to("hf:bench-llm/or-bench") == ""


def test_rows_of_a_hub_set_are_read_by_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the form that SORRY-Bench has: a prompt is a list of one turn, and only the plain wording is asked."""
    rows = [
        {"question_id": i, "category": str(i % 4), "turns": [f"Plain {i}?"], "prompt_style": style}
        for i, style in enumerate(["base", "slang", "base", "base"])
    ]
    notes = ("split train, commit 612a4e",)
    monkeypatch.setattr(hub, "open_set", lambda settings: SimpleNamespace(rows=iter(rows), notes=notes))
    (settings,) = suites("sorry_bench")
    suite = load_suite(settings, Path())
    assert [(p.id, p.text, p.category) for p in suite.prompts] == [
        ("0", "Plain 0?", "0"),
        ("2", "Plain 2?", "2"),
        ("3", "Plain 3?", "3"),
    ]
    assert suite.source == "hf:sorry-bench/sorry-bench-202503, split train, commit 612a4e"
