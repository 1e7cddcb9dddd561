"""Suites: read, filtered, cut down fairly, and their faults told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from burnish.errors import DataError, EvaluationError
from burnish.evaluate.settings import SuiteSettings
from burnish.evaluate.suites import every_row, load_suite, stratified
from burnish.records import Prompt


def written(folder: Path, rows: list[dict[str, object]], name: str = "suite.jsonl") -> SuiteSettings:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return SuiteSettings(path=name, kind="harmful")


@pytest.mark.parametrize(
    ("name", "kind", "least"), [("harmful_requests", "harmful", 600), ("over_refusal", "over_refusal", 400)]
)
def test_builtin_suites(name: str, kind: str, least: int, tmp_path: Path) -> None:
    suite = load_suite(SuiteSettings.model_validate({"path": f"builtin:{name}", "kind": kind}), tmp_path)
    assert (suite.name, suite.kind) == (name, kind)
    assert len(suite.prompts) >= least
    assert suite.repeated == 0
    assert len({prompt.family for prompt in suite.prompts}) < len(suite.prompts)


def test_xstest_holds_both_kinds_in_one_file(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("safety/xstest_prompts.csv")
    safe = SuiteSettings(path=path.name, kind="over_refusal", where={"label": "safe"}, name="xstest_safe")
    unsafe = SuiteSettings(path=path.name, kind="harmful", where={"label": "unsafe"})
    loaded = load_suite(safe, path.parent)
    assert (loaded.name, len(loaded.prompts)) == ("xstest_safe", 250)
    assert len({prompt.category for prompt in loaded.prompts}) == 10
    assert len(load_suite(unsafe, path.parent).prompts) == 200


def test_a_missing_column_is_told_with_a_hint(tmp_path: Path) -> None:
    settings = written(tmp_path, [{"promt": "How?", "kind": "x"}])
    with pytest.raises(EvaluationError, match="no column 'prompt', only 'promt', 'kind'") as fault:
        load_suite(settings, tmp_path)
    assert "did you mean 'promt'?" in fault.value.hint
    with pytest.raises(EvaluationError, match=r"columns\.category: there is no column 'topik'"):
        load_suite(settings.model_copy(update={"columns": {"prompt": "promt", "category": "topik"}}), tmp_path)
    with pytest.raises(EvaluationError, match=r"where\.label: there is no column 'label'"):
        load_suite(settings.model_copy(update={"where": {"label": "safe"}}), tmp_path)


def test_where_that_nothing_matches_lists_what_is_there(tmp_path: Path) -> None:
    settings = written(tmp_path, [{"prompt": "a?", "label": "safe"}, {"prompt": "b?", "label": "unsafe"}])
    with pytest.raises(EvaluationError, match="no row of 2") as fault:
        load_suite(settings.model_copy(update={"where": {"label": "harmful"}}), tmp_path)
    assert "['safe', 'unsafe']" in fault.value.hint


@pytest.mark.parametrize("value", [None, 3, "", "  \n"])
def test_a_row_without_a_prompt_stops_with_its_line(tmp_path: Path, value: object) -> None:
    settings = written(tmp_path, [{"prompt": "fine"}, {"prompt": value}])
    with pytest.raises(EvaluationError, match=r"suite\.jsonl:2: the column 'prompt' is"):
        load_suite(settings, tmp_path)


def test_a_broken_line_stops_with_its_line(tmp_path: Path) -> None:
    settings = written(tmp_path, [{"prompt": "fine"}])
    with (tmp_path / "suite.jsonl").open("a") as file:
        file.write('{"prompt": \n')
    with pytest.raises(EvaluationError, match=r"suite\.jsonl:2"):
        load_suite(settings, tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_suite(SuiteSettings(path="absent.csv", kind="harmful"), tmp_path)


def test_repeated_prompts_are_asked_once_and_repeated_ids_refused(tmp_path: Path) -> None:
    suite = load_suite(written(tmp_path, [{"prompt": "a?"}, {"prompt": "b?"}, {"prompt": "a?"}]), tmp_path)
    assert ([prompt.text for prompt in suite.prompts], suite.repeated) == (["a?", "b?"], 1)
    with pytest.raises(EvaluationError, match="id 'x' stands on an earlier row"):
        load_suite(written(tmp_path, [{"prompt": "a?", "id": "x"}, {"prompt": "b?", "id": "x"}]), tmp_path)


def prompts(counts: dict[str, int]) -> list[Prompt]:
    return [Prompt(f"{c}{i}", f"{c} prompt {i}", c, f"{c}{i}") for c, count in counts.items() for i in range(count)]


def test_a_part_keeps_every_category_in_proportion() -> None:
    part = stratified(prompts({"a": 60, "b": 30, "c": 11}), 20)
    assert Counter(prompt.category for prompt in part) == {"a": 12, "b": 6, "c": 2}


def test_a_part_is_the_same_whatever_the_order_or_the_ids() -> None:
    every = prompts({"a": 40, "b": 25})
    part = {prompt.text for prompt in stratified(every, 13)}
    renamed = [Prompt(str(i), p.text, p.category, p.family) for i, p in enumerate(reversed(every))]
    assert {prompt.text for prompt in stratified(renamed, 13)} == part
    assert stratified(every, None) == stratified(every, 999) == tuple(every)


def test_the_digest_is_of_the_prompts_that_are_asked(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"prompt {i}?"} for i in range(9)]
    whole = load_suite(written(tmp_path, rows), tmp_path)
    part = load_suite(written(tmp_path, rows).model_copy(update={"rows": 4}), tmp_path)
    assert len(part.prompts) == 4
    assert whole.digest != part.digest
    assert whole.digest == load_suite(written(tmp_path, rows, "other.jsonl"), tmp_path).digest


def test_a_suite_falls_into_two_sides_by_family(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"prompt {i}?", "family": f"f{i % 40}"} for i in range(200)]
    settings = written(tmp_path, rows)
    sealed = load_suite(settings, tmp_path, "sealed", 0.25)
    development = load_suite(settings, tmp_path, "development", 0.25)
    assert len(sealed.prompts) + len(development.prompts) == 200
    assert {p.family for p in sealed.prompts}.isdisjoint(p.family for p in development.prompts)
    assert 100 < len(sealed.prompts) < 190
    assert sealed.digest != development.digest
    few = load_suite(settings.model_copy(update={"rows": 60}), tmp_path, "sealed", 0.25)
    assert len(few.prompts) == 60
    assert set(few.prompts) < set(sealed.prompts)
    assert load_suite(every_row(settings.model_copy(update={"rows": 60})), tmp_path).prompts == (
        load_suite(settings, tmp_path).prompts
    )


def test_a_side_without_prompts_is_an_error(tmp_path: Path) -> None:
    settings = written(tmp_path, [{"prompt": "a?"}])
    with pytest.raises(EvaluationError, match="none of its 1 prompts lies on the development side"):
        load_suite(settings, tmp_path, "development", 0.0)


def test_where_no_column_says_so_prompts_of_one_pattern_are_one_family(tmp_path: Path) -> None:
    pattern = [f"Could you please tell me in short what makes a {word} so very dangerous?" for word in "abcd"]
    rows: list[dict[str, object]] = [{"prompt": text} for text in (*pattern, "Where does the sun set?")]
    derived = load_suite(written(tmp_path, rows), tmp_path).prompts
    assert len({p.family for p in derived[:4]}) == 1
    assert derived[4].family != derived[0].family
    said = [row | {"family": f"own-{i}"} for i, row in enumerate(rows)]
    assert [p.family for p in load_suite(written(tmp_path, said), tmp_path).prompts] == [f"own-{i}" for i in range(5)]


def test_a_prompt_in_a_list_of_one_is_that_prompt(tmp_path: Path) -> None:
    assert load_suite(written(tmp_path, [{"prompt": ["a?"]}]), tmp_path).prompts[0].text == "a?"
    with pytest.raises(EvaluationError, match="expected a prompt's text"):
        load_suite(written(tmp_path, [{"prompt": ["a?", "b?"]}]), tmp_path)
