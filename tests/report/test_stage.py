"""The report as a reader's browser meets it: self-contained, inert, and true to the artefacts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from burnish.artefacts import Evaluation
from burnish.errors import RunFolderError
from burnish.report.stage import write_report
from burnish.report.tables import SAFETY_VERDICTS
from burnish.run_folder import RunFolder

_VOID = {"meta", "br", "hr", "img", "link", "input", "base", "polyline", "line", "circle"}
_ALLOWED = frozenset(
    {"html", "head", "meta", "title", "style", "body", "header", "section", "main", "footer", "nav", "p", "h1", "h2"}
    | {"h3", "h4", "ul", "ol", "li", "a", "dl", "dt", "dd", "div", "span", "small", "strong", "code", "pre", "table"}
    | {"caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "article", "figure", "figcaption"}
    | {"i", "b", "u", "s", "svg", "polyline", "line", "circle", "text"}
)


class _Page(HTMLParser):
    """What a browser would make of a page: its elements, its text, and the text inside folded parts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.text, self.folded, self.css = "", "", ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.css += data
            return
        self.text += data
        if "details" in self.open and "summary" not in self.open:
            self.folded += data


def _page(run: RunFolder) -> _Page:
    return _Page(write_report(run).read_text(encoding="utf-8"))


def test_hostile_text_makes_no_element_and_loads_nothing(whole_run: RunFolder) -> None:
    page = _page(whole_run)
    assert set(page.tags) <= _ALLOWED
    assert page.open == []
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "srcset", "action")]
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert not re.search(r"url\(|@import|//", page.css)
    styles = [value for name, value in page.attributes if name == "style"]
    assert styles
    assert all(re.fullmatch(r"((left|width):\d+\.\d\d%;?)+|padding:0 1rem", style) for style in styles)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_a_policy_forbids_everything_but_inline_styles(whole_run: RunFolder) -> None:
    attributes = _page(whole_run).attributes
    policy = attributes[attributes.index(("http-equiv", "Content-Security-Policy")) + 1]
    assert policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "script-src" not in policy[1]


def test_hidden_characters_are_spelled_out(whole_run: RunFolder) -> None:
    html = write_report(whole_run).read_text(encoding="utf-8")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\U000e0041]", html)
    page = _Page(html)
    for name in ("<U+202E>", "<U+200B>", "<U+0000>", "<U+E0041>"):
        assert name in page.text


def test_numbers_are_those_of_the_artefacts(whole_run: RunFolder) -> None:
    text = re.sub(r"\s+", "", _page(whole_run).text)
    evaluation = whole_run.load("evaluate/evaluation.json", Evaluation)
    for result in evaluation.results:
        if result.mean is not None and result.interval is not None:
            low, high = result.interval
            assert f"{result.mean:.1%}{low:.1%}to{high:.1%},n={result.n}" in text
        else:
            cells = [(result.counts.get(v, 0), result.counts.get(v, 0) / result.n) for v in SAFETY_VERDICTS]
            assert result.arm + "".join(f"{hits}{share:.1%}" for hits, share in cells) + f"{result.n}" in text
    assert "97.0%→24.0%" in text
    assert "−73.0(−78.0to−67.0)" in text
    assert "48211tokenscarriedlossof90377seen" in text
    assert "tokenstruncated2918" in text
    for digest in (evaluation.responses_digest, evaluation.tuned_digest, evaluation.judge_digest):
        assert digest in text
    assert "Seed1234" in text


def test_the_verdict_comes_first_in_words(whole_run: RunFolder) -> None:
    text = _page(whole_run).text
    assert text.index("BLOCK") < text.index("This model must not be released.") < text.index("Rules of the gate")


def test_replies_that_comply_with_harm_are_folded_away(whole_run: RunFolder) -> None:
    html = write_report(whole_run).read_text(encoding="utf-8")
    harmful = html[html.index("<h3>harmful</h3>", html.index('id="changes"')) :]
    harmful = harmful[: harmful.index("<h3>look-alikes</h3>")]
    unfolded = re.sub(r"<details.*?</details>", "", harmful, flags=re.DOTALL)
    assert "compliance</span>" in harmful
    assert "off-task</span>" in unfolded
    assert "compliance</span>" not in unfolded


@pytest.mark.parametrize("stages", [0, 1, 2, 3, 4])
def test_a_run_that_stopped_early_says_what_is_missing(maker: Any, stages: int) -> None:
    for stage in (maker.prepare, maker.audit, maker.train, maker.evaluate)[:stages]:
        stage()
    page = _page(maker.run)
    missing = ["data", "audit", "training", "evaluation", "decision"][stages:]
    assert "NO VERDICT" in page.text
    assert f"Not done yet: {', '.join(missing)}." in page.text
    assert "Not decided yet" in page.text
    assert ("Not evaluated yet" in page.text) == (stages < 4)
    assert not list(maker.run.path.glob("gate"))


def test_an_audit_that_stopped_the_run_is_told_as_such(maker: Any) -> None:
    maker.prepare()
    maker.audit(action="stop")
    assert "The audit stopped this run before training." in _page(maker.run).text


def test_a_decision_about_other_weights_is_no_verdict(whole_run: RunFolder) -> None:
    decision = whole_run.read_json("gate/decision.json")
    decision["verdict"], decision["digests"]["weights"] = "PASS", "0" * 64
    whole_run.write_json("gate/decision.json", decision)
    page = _page(whole_run)
    assert "STALE" in page.text
    assert "The decision is about other weights or other replies" in page.text
    assert "may be released" not in page.text


def test_changed_evidence_is_told(whole_run: RunFolder) -> None:
    assert "does not fit together" not in _page(whole_run).text
    trained = whole_run.read_json("train/train.json")
    whole_run.write_json("train/train.json", trained | {"steps": 5, "digest": "5" * 64})
    text = _page(whole_run).text
    assert "does not fit together" in text
    assert text.index("STALE") < text.index("gate/decision.json says BLOCK")
    assert "The evaluation is of other weights" in text
    assert "train/train.json has changed since the stage train wrote it." in text


@pytest.mark.parametrize("relative", ["train/train.json", "audit/findings.jsonl", "evaluate/responses.parquet"])
def test_a_broken_artefact_stops_the_report_and_leaves_the_old_one(whole_run: RunFolder, relative: str) -> None:
    before = write_report(whole_run).read_bytes()
    whole_run.write_text(relative, "{broken")
    with pytest.raises(RunFolderError, match=re.escape(relative)):
        write_report(whole_run)
    assert (whole_run.path / "report.html").read_bytes() == before


def test_a_character_that_is_none_is_named(whole_run: RunFolder) -> None:
    path = whole_run.file("audit/findings.jsonl")
    first = path.read_text(encoding="utf-8").splitlines()[-1]
    path.write_text(first.replace('"excerpt": "', '"excerpt": "half \ufdd0 a pair '), encoding="utf-8")
    assert "half <U+FDD0> a pair" in _page(whole_run).text


def test_the_paths_of_the_machine_stay_out(whole_run: RunFolder) -> None:
    html = write_report(whole_run).read_text(encoding="utf-8")
    assert "/secret/home" not in html
    assert str(whole_run.path) not in html


def test_the_file_is_small(whole_run: RunFolder) -> None:
    assert write_report(whole_run).stat().st_size < 400_000
