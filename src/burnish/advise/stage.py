"""The advice stage: measures every candidate on the same held-out rows, and says whether to prompt or to fine-tune.

Writes advise/candidates/NAME.json as each is measured, which a later call takes up again, and advise/advice.json last.
Nothing builds on it, and it decides nothing about a release.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence

from burnish.advice import Advice, Measured
from burnish.advise.bench import Bench, Finished
from burnish.advise.candidate import Candidate, CandidateUnfit
from burnish.advise.choice import choose, has_say
from burnish.advise.economics import break_evens
from burnish.advise.form import form_of
from burnish.advise.job import Job
from burnish.advise.results import Result, compare, forecast, result_of
from burnish.advise.words import not_measured, paragraph
from burnish.artefacts import Artefact, Dataset
from burnish.catalogue import build
from burnish.errors import EvaluationError
from burnish.evaluate.reply_cache import ReplyCache
from burnish.logs import say, warn
from burnish.records import content_digest
from burnish.run_folder import RunFolder
from burnish.settings import PluginSettings

ADVICE = "advise/advice.json"
_NO_PART_IN_ANSWERS = {
    "price_in", "price_out", "timeout_seconds", "attempts", "requests_per_minute", "concurrency",
}  # fmt: skip


class Kept(Artefact):
    """What a candidate came to, and the digest of all that it depends on."""

    key: str
    measured: tuple[Measured, ...]


def advise(
    job: Job, dataset: Dataset, quarantined: Collection[str], run: RunFolder, finished: Finished | None = None
) -> Advice:
    """Measure, compare, and say what to do. `finished` is the run's own tuned model, where it has one.

    Raises: EvaluationError when the task has no row to measure on, or there is nothing to compare; errors of training
    and of models, after which measured candidates are kept.
    """
    began = time.monotonic()
    with ReplyCache(job.cache) as cache:
        bench = Bench(job, dataset, quarantined, run, cache, finished)
        say(
            f"advise: {len(bench.rows):,} held-out rows; prompting is chosen on {len(bench.development):,} development "
            f"rows, {len(bench.trainable):,} rows to learn from"
        )
        measured, unfit = _measure_all(bench)
    form = form_of([example.reference for example in (*bench.development, *bench.pool)])
    results = [result_of(one, bench.scores(one.answers), form, job.advise, job.seed) for one in measured]
    advice = _concluded(bench, results, unfit, form is not None, time.monotonic() - began)
    run.save(ADVICE, advice)
    return advice


def _measure_all(bench: Bench) -> tuple[list[Measured], dict[str, str]]:
    found: list[Measured] = []
    unfit: dict[str, str] = {}
    for settings in bench.job.advise.candidates:
        name = str(getattr(settings, "name", "") or settings.kind)
        try:
            found += _measured(bench, settings, name)
        except CandidateUnfit as error:
            unfit[name] = error.message
            warn(f"advise: {name} is not measured: it {error.message}")
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise EvaluationError(
                f"advise.candidates: two are called {name!r}; nothing was advised",
                hint="give one of them another `name`",
            )
    return found, unfit


def _measured(bench: Bench, settings: PluginSettings, name: str) -> Sequence[Measured]:
    """A candidate's answers, those that an earlier call left where nothing that they depend on has changed. Where some
    are missing, they are asked for again."""
    candidate: Candidate = build("candidate", settings)
    described = settings.model_dump(mode="json", exclude=_NO_PART_IN_ANSWERS)
    key = content_digest(described, bench.digest, candidate.depends_on(bench))
    place = f"advise/candidates/{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.json"
    if (bench.run.path / place).is_file():
        kept = bench.run.load(place, Kept)
        if kept.key == key and all(answer for one in kept.measured for answer in one.answers):
            say(f"advise: {name}: measured already")
            return [_priced(one, settings) for one in kept.measured]
    say(f"advise: {name}")
    found = tuple(candidate.measure(bench))
    bench.run.save(place, Kept(key=key, measured=found))
    return found


def _priced(measured: Measured, settings: PluginSettings) -> Measured:
    """With the prices that the recipe gives now."""
    price_in, price_out = getattr(settings, "price_in", None), getattr(settings, "price_out", None)
    priced = bool(price_in or price_out)
    return measured.model_copy(
        update={"price_in": price_in if priced else None, "price_out": price_out if priced else None}
    )


def _concluded(bench: Bench, results: Sequence[Result], unfit: dict[str, str], form: bool, seconds: float) -> Advice:
    settings, seed = bench.job.advise, bench.job.seed
    curve = [result for result in results if result.candidate.side == "tuning"]
    prompting = [r for r in results if r.candidate.side == "prompting" and has_say(r.candidate)]
    if not curve or not prompting:
        raise EvaluationError(
            f"advise.candidates: {len(curve)} tuned and {len(prompting)} by prompting could be measured, expected at "
            "least one of each; nothing was advised",
            hint="; ".join(f"{name} {why}" for name, why in unfit.items()) or "add the candidates prompt and tuning",
        )
    tuned = max(curve, key=lambda result: result.candidate.share or 0.0)
    comparisons = compare(tuned, prompting, seed)
    ahead = forecast(curve, seed)
    rivals = [result.candidate for result in prompting]
    choice = choose(tuned.candidate, rivals, comparisons, ahead, settings)
    finalists = [r.candidate for r in results if r.candidate.side == "prompting" or r is tuned]
    pairs = break_evens(finalists)
    candidates = [result.candidate for result in results]
    priced = any(candidate.money is not None for candidate in candidates)
    return Advice(
        recommendation=choice.recommendation,
        candidate=choice.candidate,
        words=paragraph(choice, tuned.candidate, rivals, pairs, ahead),
        metric=bench.task.metric_name,
        rows=len(bench.rows),
        too_long=bench.task.too_long,
        development_rows=len(bench.development),
        training_rows=len(bench.trainable),
        worthwhile=settings.worthwhile,
        candidates=tuple(candidates),
        comparisons=tuple(comparisons),
        break_even=tuple(pairs),
        forecast=ahead,
        unfit=unfit,
        not_measured=tuple(not_measured(candidates, ahead, form, priced)),
        base=bench.base.digest,
        rows_digest=bench.task.digest,
        currency=settings.currency if priced else "",
        seconds=seconds,
    )
