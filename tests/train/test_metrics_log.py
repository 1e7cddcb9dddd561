"""The metrics file: continued without a seam."""

from __future__ import annotations

from pathlib import Path

from burnish.train.metrics_log import metrics_log, read_metrics


def test_lines_after_the_checkpoint_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with metrics_log(path, 0) as log:
        for step in range(1, 6):
            log.write({"step": step, "loss": 1.0})
    with metrics_log(path, 3) as log:
        log.write({"step": 4, "loss": 2.0})
        log.sync()
    assert [(line["step"], line["loss"]) for line in read_metrics(path)] == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0)]


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st', encoding="utf-8")
    with metrics_log(path, 9) as log:
        log.write({"step": 3})
    assert path.read_text(encoding="utf-8") == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with metrics_log(tmp_path / "metrics.jsonl", 0) as log:
        log.write({"step": 1})
        assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1}]
