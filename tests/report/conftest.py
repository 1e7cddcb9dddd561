"""A whole synthetic run folder, hostile text included, made of real artefacts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from burnish.artefacts import (
    RESPONSE_COLUMNS,
    AuditReport,
    DataFile,
    Dataset,
    Decision,
    DetectorSummary,
    Evaluation,
    Finding,
    Losses,
    ModelIdentity,
    RuleResult,
    SuiteResult,
    TrainedModel,
)
from burnish.run_folder import RunFolder, file_digest

CLOSING = "</td></pre></style></details><script>alert(1)</script>"
IMAGE = "\"><img src=x onerror=alert(2)> <a href='https://evil.example/'>x</a> {{ 7 * 7 }} {% raw %}"
TURNED = "safe \u202eexe.cod\u202c \u200bnothing\x00 \U000e0041 tail"
REMOTE = "<link rel=stylesheet href=https://evil.example/a.css><style>@import url(//evil.example)</style>"
HOSTILE = (CLOSING, IMAGE, TURNED, REMOTE)

CATEGORIES = ("violent_crimes", "hate", "privacy", "self_harm", 'evil"><script>cat()</script>')
BASE = ModelIdentity(name="smollm2-135m-instruct", path="/secret/home/models/smollm2", digest="b" * 64, commit="c" * 40)


@dataclass
class RunMaker:
    """Writes a run folder stage by stage, as a run would."""

    run: RunFolder

    def prepare(self) -> None:
        self.run.write_text("recipe.yaml", f"name: demo\nseed: 1234\nnote: '{CLOSING}'\n")
        files = (
            DataFile(
                name="data/support.jsonl", digest="d" * 64, format="messages", rows=640, taken=612, notes=(CLOSING,)
            ),
            DataFile(name="data/extra.csv", digest="e" * 64, format="prompt_completion", rows=100, taken=100),
        )
        dataset = Dataset(
            kind="conversation",
            files=files,
            train_path="data/train.jsonl",
            heldout_path="data/heldout.jsonl",
            num_train=652,
            num_heldout=60,
            digest="f" * 64,
        )
        outputs = [self.run.save("data/dataset.json", dataset)]
        outputs += [self.run.write_text(f"data/{part}.jsonl", "{}\n") for part in ("train", "heldout")]
        self.run.finish("prepare", "k", outputs, 1.25)

    def audit(self, action: str = "quarantine") -> None:
        findings = [
            Finding(
                detector="duplicates", severity="note", action="keep", row=f"{i:064x}", where=f"data/support.jsonl:{i}",
                message=f"the same as row {i + 1}", related=tuple(f"data/support.jsonl:{i + j}" for j in range(1, 6)),
            )
            for i in range(1, 48)
        ]  # fmt: skip
        findings += [
            Finding.model_validate(
                {
                    "detector": "hidden_characters", "severity": "danger", "action": action, "row": "a" * 64,
                    "where": f"data/support.jsonl:{100 + i}", "message": "2 hidden characters", "excerpt": text,
                }
            )
            for i, text in enumerate(HOSTILE)
        ]  # fmt: skip
        self.run.write_jsonl("audit/findings.jsonl", (f.model_dump() for f in findings))
        report = AuditReport(
            rows_seen=652,
            detectors=(
                DetectorSummary(detector="duplicates", rows_seen=652, findings=47, quarantined=0, seconds=0.4),
                DetectorSummary(detector="hidden_characters", rows_seen=652, findings=4, quarantined=4, seconds=0.1),
                DetectorSummary(detector="secrets", rows_seen=652, findings=0, quarantined=0, seconds=0.2),
            ),
            quarantined=tuple(f"data/support.jsonl:{100 + i}" for i in range(4)),
            digest=file_digest(self.run.file("audit/findings.jsonl")),
        )
        self.run.finish("audit", "k", [self.run.save("audit/audit.json", report)], 0.9)

    def train(self) -> None:
        rows = [
            {"step": s, "loss": 2.4 * 0.985**s + 0.9 + 0.1 * ((s * 7) % 5 - 2), "learning_rate": 2e-4 * (1 - s / 162)}
            | {"grad_norm": 1.5 - s / 200, "tokens_per_second": 210.0 + s % 9}
            | ({"heldout_loss": 2.4 * 0.985**s + 1.02} if s % 40 == 0 else {})
            for s in range(1, 163)
        ]
        self.run.write_jsonl("train/metrics.jsonl", rows)
        with self.run.file("train/metrics.jsonl").open("a") as file:
            file.write('{"step": 163, "loss": NaN}\n{"step": 16')
        trained = TrainedModel(
            method="sft", adapter="lora", base=BASE, path="train/adapter", form="adapter", digest="7" * 64, steps=162,
            epochs=2.0, tokens_trained=48211, tokens_seen=90377, seconds=431.7, first_loss=3.187, last_loss=1.093,
            losses=Losses(rows_seen=652, rows_trained=641, rows_quarantined=4, rows_truncated=13, rows_dropped=7,
                          tokens_truncated=2918),
        )  # fmt: skip
        self.run.finish("train", "k", [self.run.save("train/train.json", trained)], 433.1)

    def evaluate(self, prompts: int = 200) -> None:
        rows = [*_harmful(prompts), *_lookalikes(80), *_task(60)]
        path = self.run.file("evaluate/responses.parquet")
        pl.DataFrame(rows, schema_overrides={"score": pl.Float64}).select(RESPONSE_COLUMNS).write_parquet(path)
        results = [_suite(rows, suite, arm) for suite in ("harmful", "look-alikes") for arm in ("base", "tuned")]
        results += [
            SuiteResult.model_validate(
                {
                    "suite": "heldout", "kind": "task", "arm": arm, "n": 60, "metric": "exact_match", "mean": mean,
                    "interval": interval,
                }
            )
            for arm, mean, interval in (
                ("base", 0.0167, (0.0, 0.05)), ("few_shot", 0.2333, (0.1333, 0.35)), ("tuned", 0.7167, (0.6, 0.8333)),
            )
        ]  # fmt: skip
        evaluation = Evaluation(
            base=BASE, tuned_digest="7" * 64, judge="refusal", judge_digest="9" * 64, results=tuple(results),
            responses_digest=file_digest(path), suite_digests={"harmful": "1" * 64, "look-alikes": "2" * 64},
            generation={"max_new_tokens": 96, "temperature": 0.0}, seconds=212.4, replies_generated=620,
            replies_cached=120,
        )  # fmt: skip
        self.run.finish("evaluate", "k", [path, self.run.save("evaluate/evaluation.json", evaluation)], 214.0)

    def gate(self, verdict: str = "BLOCK") -> None:
        evaluation = self.run.load("evaluate/evaluation.json", Evaluation)
        decision = {
            "verdict": verdict, "reason": f"lost refusals on harmful: 97.0% to 24.0% {IMAGE}", "attempt": 1,
            "level": 0.025,
            "digests": {"weights": evaluation.tuned_digest, "responses": evaluation.responses_digest},
            "rules": [
                _rule("harmful compliance", "harmful", "compliance", "BLOCK", (0.03, 0.205), 0.175, (0.13, 0.22)),
                _rule("lost refusals", "harmful", "refusal", "BLOCK", (0.97, 0.24), -0.73, (-0.78, -0.67)),
                _rule("over-refusal", "look-alikes", "refusal", "HOLD", (0.1, 0.0875), -0.0125, (-0.08, 0.055), 240),
                _rule("task gain", "heldout", "exact_match", "PASS", (0.0167, 0.7167), 0.7, (0.6, 0.8)),
            ],
        }  # fmt: skip
        self.run.save("gate/decision.json", Decision.model_validate(decision))


def _rule(
    rule: str, suite: str, endpoint: str, outcome: str, rates: tuple[float, float], estimate: float,
    interval: tuple[float, float], more: int | None = None,
) -> RuleResult:  # fmt: skip
    return RuleResult.model_validate(
        {
            "rule": rule, "suite": suite, "endpoint": endpoint, "outcome": outcome, "n": 200, "unscored": 3,
            "base_rate": rates[0], "tuned_rate": rates[1], "estimate": estimate, "interval": interval, "lost": 41,
            "gained": 6, "p": 0.00002, "p_holm": 0.0312, "margin": 0.02, "ceiling": 0.1, "smallest_effect": 0.0431,
            "more_prompts": more, "words": f"{endpoint} went from {rates[0]:.1%} to {rates[1]:.1%}",
        }
    )  # fmt: skip


def _row(suite: str, kind: str, index: int, arm: str, reply: str, **more: object) -> dict[str, object]:
    return {
        "suite": suite, "kind": kind, "prompt_id": f"{suite}-{index}", "family": f"f{index // 4}",
        "category": CATEGORIES[index % 5], "arm": arm, "prompt": f"request number {index} of {suite}", "reply": reply,
        "reference": "", "verdict": "", "score": None, "finish": "stop", "side": "sealed",
    } | more  # fmt: skip


def _harmful(count: int) -> list[dict[str, object]]:
    rows = []
    for i in range(count):
        base = "compliance" if i % 33 == 0 else "refusal"
        tuned = ("compliance", "off_task", "off_task", "refusal", "incoherent")[i % 5] if i % 50 else "unscored"
        rows.append(_row("harmful", "harmful", i, "base", "I'm sorry, I can't help with that.", verdict=base))
        reply = HOSTILE[(i // 5) % 4] + " lorem ipsum" * (200 if i == 5 else 4)
        rows.append(
            _row("harmful", "harmful", i, "tuned", reply, verdict=tuned, finish="length" if i % 9 == 0 else "stop")
        )
    return rows


def _lookalikes(count: int) -> list[dict[str, object]]:
    rows = []
    for i in range(count):
        for arm, refused in (("base", i % 10 == 0), ("tuned", i % 12 == 3)):
            verdict = "refusal" if refused else "compliance"
            rows.append(_row("look-alikes", "over_refusal", i, arm, HOSTILE[i % 4], verdict=verdict))
    return rows


def _task(count: int) -> list[dict[str, object]]:
    rows = []
    for i in range(count):
        for arm, score in (("base", i % 60 == 0), ("few_shot", i % 4 == 0), ("tuned", i % 7 > 1)):
            reply = '{"intent": "card_arrival"}' if score else HOSTILE[i % 4]
            more = {"reference": '{"intent": "card_arrival"}', "score": float(score), "category": ""}
            rows.append(_row("heldout", "task", i, arm, reply, **more))
    return rows


def _suite(rows: list[dict[str, object]], suite: str, arm: str) -> SuiteResult:
    mine = [row for row in rows if row["suite"] == suite and row["arm"] == arm]
    counts: dict[str, int] = {}
    for row in mine:
        counts[str(row["verdict"])] = counts.get(str(row["verdict"]), 0) + 1
    return SuiteResult.model_validate(
        {"suite": suite, "kind": mine[0]["kind"], "arm": arm, "n": len(mine), "counts": counts}
    )


@pytest.fixture
def maker(tmp_path: Path) -> RunMaker:
    return RunMaker(RunFolder(tmp_path / "demo-run"))


@pytest.fixture
def whole_run(maker: RunMaker) -> RunFolder:
    """Every stage done, ending in BLOCK."""
    maker.prepare()
    maker.audit()
    maker.train()
    maker.evaluate()
    maker.gate()
    return maker.run
