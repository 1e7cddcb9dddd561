"""The task's part of the evaluation where the data are preferences: does a model put the better reply above the other?

Nothing is written. Both replies of a held-out pair are scored behind their prompt, which is laid down once; rows with a
thumbs up or down are brought into pairs first, one of each kind, every row in one pair at most, so that pairs stay
independent of each other. Knows nothing of safety suites.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from burnish.artefacts import Arm, Dataset, LengthBaseline
from burnish.catalogue import build
from burnish.data.store import read_records
from burnish.errors import EvaluationError
from burnish.evaluate.asking import Asker
from burnish.evaluate.few_shot import Example, choose, with_examples
from burnish.evaluate.reply_cache import Reply
from burnish.evaluate.settings import TASK, TaskSettings
from burnish.evaluate.speaker import Speaker
from burnish.evaluate.task import Scored
from burnish.logs import warn
from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import PromptGroup
from burnish.protocols import Compares, Likelihood, Metric
from burnish.records import LabelledCompletion, Message, PreferencePair, Record, content_digest
from burnish.run_folder import RunFolder
from burnish.statistics.reply_length import length_baseline, longer_is_chosen

_RULE_PAIRS = 1000  # training pairs that say whether the longer reply is the better one


@dataclass(frozen=True, slots=True)
class PairRow:
    """One comparison. `records` are the pair, or the wanted and the unwanted row; pairs of one prompt are one family,
    and `reference` is the chosen reply."""

    records: tuple[PreferencePair] | tuple[LabelledCompletion, LabelledCompletion]

    @property
    def id(self) -> str:
        """SHA-256 (hex) of the records' content."""
        return content_digest([record.digest for record in self.records])

    @property
    def family(self) -> str:
        """SHA-256 (hex) of the first prompt."""
        return content_digest([[m.role, m.content] for m in self.records[0].prompt])

    @property
    def question(self) -> str:
        """The last user turn of each prompt."""
        return "\n\n".join(question_of(record) for record in self.records)

    @property
    def reference(self) -> str:
        """The reply that is to come out above."""
        first = self.records[0]
        return _text(first.chosen if isinstance(first, PreferencePair) else first.completion)


@dataclass(frozen=True)
class PreferenceTask:
    """What every arm is asked to tell apart. `plain` and `few_shot` are what is scored, two completions for each row in
    the rows' order; `examples` the few-shot arm's; `too_long` counts pairs that don't fit the model's context;
    `longer_is_chosen` is what length alone says of training pairs."""

    rows: tuple[PairRow, ...]
    examples: tuple[Example, ...]
    plain: tuple[PromptGroup, ...]
    few_shot: tuple[PromptGroup, ...]
    metric: Metric
    comparison: Compares
    metric_name: str
    digest: str
    too_long: int
    longer_is_chosen: bool
    max_new_tokens: int = 0


def compares(settings: TaskSettings) -> bool:
    """Whether the task's metric is one of preferences."""
    return isinstance(build("metric", settings.metric), Compares)


def asked_questions(settings: TaskSettings, records: Iterable[Record], seed: int) -> frozenset[str]:
    """The last user turns that an evaluation with these settings asks about, of all held-out records."""
    if compares(settings):
        return frozenset(question_of(one) for row in _choose(records, settings.rows, seed) for one in row.records)
    return frozenset(example.question for example in choose(records, settings.rows, seed))


def question_of(record: PreferencePair | LabelledCompletion) -> str:
    """The last user turn."""
    return _example(record).question


def prepare_preferences(
    settings: TaskSettings, dataset: Dataset, run: RunFolder, encoder: Encoder, seed: int
) -> PreferenceTask:
    """Choose pairs and examples by hash, and encode them so that every arm fits into the encoder's length: examples are
    dropped until it does, pairs that don't fit without any are left out and counted.

    Raises: EvaluationError when there is no held-out pair, or rows are of another kind than the metric compares.
    """
    metric = build("metric", settings.metric)
    _check_kind(settings, dataset, metric)
    chosen = _choose(read_records(run.file(dataset.heldout_path)), settings.rows, seed)
    rows, plain, lost = _fitting(chosen, encoder)
    if not rows:
        why = f" ({'; '.join(f'{count:,}: {reason}' for reason, count in lost.items())})" if lost else ""
        raise EvaluationError(
            f"{dataset.heldout_path}: none of {dataset.num_heldout:,} held-out rows makes a pair to compare{why}; "
            "nothing was evaluated",
            hint="raise data.heldout_fraction, name data.heldout, or set evaluate.task: null",
        )
    if dataset.kind == "labelled" and len(chosen) < settings.rows:
        warn(f"{len(chosen):,} pairs can be made of the held-out rows: as many as thumbs of the rarer kind")
    apart = [_example(record) for row in rows for record in row.records]
    wanted = choose(read_records(run.file(dataset.train_path)), settings.few_shot, seed, apart)
    examples, few_shot = _fit_examples(rows, wanted, encoder)
    for reason, count in lost.items():
        warn(f"{count:,} held-out pairs were left out of every arm: {reason}")
    if len(examples) < len(wanted):
        warn(f"{len(wanted) - len(examples)} few-shot examples were dropped so that every pair fits into the context")
    return PreferenceTask(
        rows=tuple(rows),
        examples=tuple(examples),
        plain=tuple(plain),
        few_shot=tuple(few_shot),
        metric=metric,
        comparison=metric,
        metric_name=metric.name,
        digest=content_digest([row.id for row in rows]),
        too_long=lost[_too_long(encoder)],
        longer_is_chosen=_longer_is_chosen(read_records(run.file(dataset.train_path)), encoder, seed),
    )


def score_preferences(task: PreferenceTask, arm: Arm, speaker: Speaker, asker: Asker, base: Scored | None) -> Scored:
    """Score one arm's preferences. `base` is the base without examples, which is scored first, against itself."""
    groups = task.few_shot if arm == "few_shot" else task.plain
    means = asker.surprises(speaker, groups, f"{TASK}: {arm.replace('_', '-')}")
    tokens = [sum(map(bool, one.weights)) for group in groups for one in group.completions]
    sums = tuple(-mean * count for mean, count in zip(means, tokens, strict=True))
    sides = list(map(Likelihood, sums, base.logprobs if base else sums, tokens))
    scores = tuple(map(task.comparison.prefers, sides[0::2], sides[1::2]))
    return Scored(arm, (Reply("", "stop"),) * len(scores), scores, sums)


def beside_length(task: PreferenceTask, scored: Scored) -> LengthBaseline:
    """What length alone is right of on the same pairs, and the arm where that errs; pairs whose replies the arm holds
    to be alike tell nothing of the arm."""
    known = [number for number, score in enumerate(scored.scores) if score is not None]
    scores_P = np.array([scored.scores[number] for number in known], dtype=np.float64)
    tokens = _pair_lengths(task.plain)
    lengths_P = np.array([tokens[number][0] - tokens[number][1] for number in known], dtype=np.float64)
    return length_baseline(scores_P - 0.5, lengths_P, task.longer_is_chosen)


def _longer_is_chosen(records: Iterable[Record], encoder: Encoder, seed: int) -> bool:
    _, groups, _ = _fitting(_choose(records, _RULE_PAIRS, seed), encoder)
    return longer_is_chosen(_pair_lengths(groups))


def _pair_lengths(groups: Sequence[PromptGroup]) -> list[tuple[int, int]]:
    """Tokens of the chosen and the rejected reply of each pair, whose completions lie one after the other."""
    tokens = [len(one.tokens) for group in groups for one in group.completions]
    return list(zip(tokens[0::2], tokens[1::2], strict=True))


def _check_kind(settings: TaskSettings, dataset: Dataset, metric: Compares) -> None:
    name = settings.metric.kind
    if dataset.kind == "conversation":
        raise EvaluationError(
            f"evaluate.task.metric: {name} compares two replies, but the data's rows are conversations, expected "
            "preference pairs or replies with a thumbs up or down; nothing was evaluated",
            hint="choose a metric that compares a reply with the row's own, such as rouge_l",
        )
    if dataset.kind == "labelled" and not metric.across_prompts:
        raise EvaluationError(
            f"evaluate.task.metric: {name} by likelihood compares two replies to one prompt, but the data's rows have "
            "one reply each; nothing was evaluated",
            hint="set evaluate.task.metric: {kind: preference_accuracy, by: reward}",
        )


def _choose(records: Iterable[Record], count: int, seed: int) -> list[PairRow]:
    """At most `count` pairs, the same for the same rows and seed whatever their order. Reads `records` once, and holds
    no more of them than it needs."""
    pairs, wanted, unwanted = (_Smallest(count, seed) for _ in range(3))
    for record in records:
        if isinstance(record, PreferencePair):
            pairs.add(record)
        elif isinstance(record, LabelledCompletion):
            (wanted if record.desirable else unwanted).add(record)
    found = [PairRow((pair,)) for pair in pairs.records if isinstance(pair, PreferencePair)]
    for up, down in zip(wanted.records, unwanted.records, strict=False):
        if isinstance(up, LabelledCompletion) and isinstance(down, LabelledCompletion):
            found.append(PairRow((up, down)))
    return found


class _Smallest:
    """The records of the smallest hashes, each content once."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._kept: dict[str, Record] = {}

    def add(self, record: Record) -> None:
        self._kept[content_digest(self._seed, record.digest)] = record
        if len(self._kept) > 2 * self._count + 64:
            self._cut()

    def _cut(self) -> None:
        self._kept = {rank: self._kept[rank] for rank in sorted(self._kept)[: self._count]}

    @property
    def records(self) -> list[Record]:
        """The smallest first."""
        self._cut()
        return list(self._kept.values())


def _fitting(
    chosen: Sequence[PairRow], encoder: Encoder, examples: Sequence[Example] = ()
) -> tuple[list[PairRow], list[PromptGroup], Counter[str]]:
    """The pairs that can be scored whole, their groups, and why the others can't be, with their numbers."""
    rows: list[PairRow] = []
    groups: list[PromptGroup] = []
    lost: Counter[str] = Counter()
    for row in chosen:
        encoded = [_encoded(record, encoder, examples) for record in row.records]
        whole = [one.group for one in encoded if one.group is not None and not one.tokens_truncated]
        if len(whole) == len(encoded):
            rows.append(row)
            groups += whole
        elif any(one.tokens_truncated for one in encoded):
            lost[_too_long(encoder)] += 1
        else:
            lost[next(one.dropped for one in encoded if one.group is None)] += 1
    return rows, groups, lost


def _encoded(record: PreferencePair | LabelledCompletion, encoder: Encoder, examples: Sequence[Example]) -> Encoded:
    shown = replace(record, prompt=with_examples(record.prompt, examples))
    return encoder.pair(shown) if isinstance(shown, PreferencePair) else encoder.labelled(shown)


def _fit_examples(
    rows: Sequence[PairRow], wanted: Sequence[Example], encoder: Encoder
) -> tuple[list[Example], list[PromptGroup]]:
    """As many of the examples as every pair has room for, and the pairs with them."""
    examples = list(wanted)
    while True:
        kept, groups, _ = _fitting(rows, encoder, examples)
        if not examples or len(kept) == len(rows):
            return examples, groups
        examples.remove(max(examples, key=lambda e: len(e.question) + len(e.reference)))


def _too_long(encoder: Encoder) -> str:
    return f"longer than the model's context of {encoder.max_length:,} tokens"


def _example(record: PreferencePair | LabelledCompletion) -> Example:
    return Example(record.prompt, "", "", record.digest)


def _text(messages: Sequence[Message]) -> str:
    return next((m.content for m in reversed(messages) if m.role == "assistant"), "")
