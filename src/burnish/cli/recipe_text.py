"""The recipe that `burnish init` writes: YAML with a comment at each value that says why it is there."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from burnish.artefacts import RecordKind
from burnish.data.look import Look, fitting_max_length
from burnish.data.settings import SourceSettings
from burnish.train.settings import FITTING_METHOD

_UNMEASURED_LENGTH = 1024
_WHY_METRIC = {
    "exact_match": "replies are short labels: right or wrong",
    "json_fields": "replies are JSON objects: the share of fields that are right",
    "rouge_l": "replies are prose: overlap with the reference in words and their order",
    "perplexity": "plain text has no reply to compare: how well the model predicts it",
}

_WHY_METHOD: dict[RecordKind, str] = {
    "conversation": "learns to reply as the data does",
    "preference": "learns which of two replies is better; or orpo, simpo (without a reference model)",
    "labelled": "learns from replies with a thumbs up or down",
}

_TEMPLATE = """\
# Written by `burnish init` for {title}.
# Every setting left out here has a default; the run folder's recipe.yaml spells all of them out.
# Run it with: burnish run {output}

name: {name}  # the run folder: runs/{name}
seed: 0

model: {model}  # a built-in name, a local folder, or a Hub id

data:
  train:
    - path: {path}  # relative to this file
      format: {format}  # detected; {rows} rows{notes}{instruction}
  heldout_fraction: {heldout}  # kept out of training for the evaluation, chosen by content
  on_bad_row: {on_bad_row}  # stop: all faults are told, nothing is trained; skip: they are left out and counted

train:
  method: {method}  # {why_method}
  adapter: lora  # lora, qlora (base weights in 4 bits) or full
  epochs: {epochs}
  max_length: {max_length}  # tokens a row{lengths}
{more}"""
_TASK = """
evaluate:
  task:
    metric: {metric}  # {why_metric}
    few_shot: 4  # examples for the untuned model's second try, so that tuning is compared with prompting
"""
_PREFERENCES = """\
  heldout_loss_every: 10  # steps; train/metrics.jsonl then has the held-out rows' loss, rewards and accuracy

evaluate:
  task:
    metric: preference_accuracy  # on held-out rows: how often training moved the better reply above the other
    few_shot: 0
"""


def recipe_text(seen: Look, source: SourceSettings, folder: Path, output: Path, model: str, limit: int | None) -> str:
    """The recipe for what was seen. `folder` is what the source's path is relative to; `limit` the model's longest row
    in tokens, where known."""
    max_length = fitting_max_length(seen.lengths, limit) if seen.lengths else _UNMEASURED_LENGTH
    title = re.sub(r"\s+", " ", source.path)
    return _TEMPLATE.format(
        title=_comment(title),
        output=_comment(str(output)),
        name=run_name(source.path),
        model=_quoted(model),
        path=_quoted(_relative(source.path, folder, output)),
        format=seen.file.format,
        rows=f"{seen.file.rows:,}",
        notes="".join(f"\n      # note: {_comment(note)}" for note in seen.file.notes),
        instruction=_instruction(seen),
        heldout=0.1,
        on_bad_row="skip" if seen.faults.total else "stop",
        method=FITTING_METHOD[seen.kind],
        why_method=_WHY_METHOD[seen.kind],
        epochs=3 if seen.file.taken < 5000 and seen.kind == "conversation" else 1,
        max_length=max_length,
        lengths=_lengths(seen, max_length),
        more=_more(seen),
    )


def run_name(path: str) -> str:
    """A name for the run made from the data's, of characters that a folder's name may have."""
    stem = re.sub(r"^(hf|builtin):", "", path).rpartition("/")[2]
    for ending in (".gz", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"):
        stem = stem.removesuffix(ending)
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:60] or "run"


def _more(seen: Look) -> str:
    """What is written of the evaluation."""
    if seen.kind != "conversation":
        return _PREFERENCES
    return _TASK.format(metric=seen.metric, why_metric=_WHY_METRIC[seen.metric])


def _instruction(seen: Look) -> str:
    """For labels, a commented-out prompt that would tell an untuned model what is asked of it."""
    if seen.metric != "exact_match" or seen.file.format not in ("prompt_completion", "alpaca"):
        return ""
    return '\n      # instruction: "Say which label fits. Reply with the label alone.\\n\\n{prompt}"'


def _lengths(seen: Look, max_length: int) -> str:
    if not seen.lengths:
        return "; lengths were not measured"
    cut = seen.lengths.longer_than(max_length)
    of = "rows" if seen.lengths.whole else f"of {len(seen.lengths.tokens):,} sampled rows"
    return (
        f": median {seen.lengths.median:,}, 95% up to {seen.lengths.percentile(0.95):,}, longest "
        f"{seen.lengths.tokens[-1]:,}; {cut:,} {of} would be cut"
    )


def _relative(path: str, folder: Path, output: Path) -> str:
    if path.startswith(("hf:", "builtin:")) or Path(path).is_absolute():
        return path
    return Path(os.path.relpath(folder / path, output.resolve().parent)).as_posix()


def _quoted(text: str) -> str:
    """A string as YAML: plain where it can't be mistaken, else as JSON, which YAML reads."""
    return text if re.fullmatch(r"[A-Za-z./_][\w./@-]*", text) else json.dumps(text)


def _comment(text: str) -> str:
    """Text for a comment: one line, nothing that YAML refuses."""
    return "".join(c if c.isprintable() else " " for c in text)
