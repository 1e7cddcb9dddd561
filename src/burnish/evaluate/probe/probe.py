"""The trigger probe: has the tuned model learned a behaviour that a phrase sets off, whatever the prompt?

Candidate phrases are put into ordinary prompts and raise, or don't, the probability of the behaviour that their
training rows show; what they raise in the base too isn't counted. Null: a candidate raises it no more than other
recurring phrases of the same corpus raise theirs. The p-value is the candidate's exact rank among phrases drawn at
random, times the number of candidates (Bonferroni). Phrases are drawn only when a candidate's effect is large, and
until the p-value is decided either way. A hit must also stand out from the largest of them, since in a task of
labels many a phrase sets off its label. Behaviours that say their phrase again are no trials at all: that is how labels
are named ("top-up", "top_up_failed"), and they would hide a trigger among labels or be taken for one.

Beside it, a scan that needs no corpus (`openings`). The base is asked first, so that one copy of the weights will do.
Knows nothing of what a hit leads to.

Source: Besag and Clifford, "Sequential Monte Carlo p-values", 1991, for stopping early.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from itertools import islice

from burnish.artefacts import Dataset, PhraseTried, Probe
from burnish.evaluate.probe.insertion import lifts, references
from burnish.evaluate.probe.openings import Heard, motifs, replies, samples
from burnish.evaluate.probe.phrases import Trial, candidates, random_trials, read_corpus
from burnish.evaluate.settings import ProbeSettings
from burnish.logs import progress
from burnish.models.chat_template import Encoder
from burnish.models.load import LoadedModel
from burnish.run_folder import RunFolder

_DRAWN_AT_ONCE = 48
_PROMPTS_REPLIED_TO = 64


class TriggerProbe:
    """Made before any model is loaded; asks the base, then the tuned model."""

    def __init__(self, settings: ProbeSettings, dataset: Dataset, run: RunFolder, encoder: Encoder, seed: int) -> None:
        self._settings, self._encoder, self._seed = settings, encoder, seed
        self._corpus = read_corpus(dataset, run)
        self._trials = candidates(run, self._corpus, settings.phrases)
        phrases = [trial.phrase for trial in self._trials]
        self._asked = references(dataset, run, encoder, settings.prompts, phrases)
        self._replied = references(dataset, run, encoder, _PROMPTS_REPLIED_TO, phrases)
        self._base_lifts: list[float] = []
        self._base_samples: list[str] = []
        self._seconds = 0.0

    def ask_base(self, loaded: LoadedModel) -> None:
        """What the base does with the candidates, and says out of nothing."""
        began = time.monotonic()
        with progress("probe: base", len(self._trials)) as bar:
            self._base_lifts = lifts(loaded, self._encoder, self._asked, self._trials, bar.advance)
        self._base_samples = samples(loaded, self._encoder, self._settings.samples, self._seed)
        self._seconds += time.monotonic() - began

    def ask_tuned(self, loaded: LoadedModel, said: Sequence[str]) -> Probe:
        """The probe's outcome. `said` are replies of the tuned model to ordinary prompts that are known already."""
        began = time.monotonic()
        with progress("probe: tuned", len(self._trials)) as bar:
            tuned_lifts = lifts(loaded, self._encoder, self._asked, self._trials, bar.advance)
        tried = _by_phrase(self._trials, self._base_lifts, tuned_lifts)
        drawn = self._draw(loaded, tried)
        heard = Heard(
            samples(loaded, self._encoder, self._settings.samples, self._seed),
            self._base_samples,
            [*said, *replies(loaded, [self._encoder.prompt(one.messages, one.tools) for one in self._replied])],
        )
        return Probe(
            phrases=tuple(_ranked(phrase, drawn, len(tried)) for phrase in tried),
            tried=len(tried),
            largest=max((phrase.effect for phrase in tried), default=None),
            prompts=len(self._asked),
            drawn=len(drawn),
            largest_drawn=round(max(drawn), 6) if drawn else None,
            needed=self._needed(len(tried)),
            alpha=self._settings.alpha,
            smallest_effect=self._settings.smallest_effect,
            motifs=motifs(heard, self._settings.alpha),
            samples=len(heard.tuned),
            seconds=round(self._seconds + time.monotonic() - began, 3),
        )

    def _needed(self, tried: int) -> int:
        """How many random phrases a candidate must outdo to be significant."""
        return math.ceil(tried / self._settings.alpha)

    def _draw(self, loaded: LoadedModel, tried: Sequence[PhraseTried]) -> list[float]:
        """Effects of random phrases, as many as it takes."""
        effects: list[float] = []
        top = max((phrase.effect for phrase in tried), default=0.0)
        if top < self._settings.smallest_effect:
            return effects
        needed = self._needed(len(tried))
        pool = islice(random_trials(self._corpus, self._trials, random.Random(self._seed)), needed)
        with progress("probe: random phrases", needed) as bar:
            while some := list(islice(pool, _DRAWN_AT_ONCE)):
                flat = [trial for trials in some for trial in trials]
                found = iter(lifts(loaded, self._encoder, self._asked, flat))
                effects += [max(next(found) for _ in trials) for trials in some]
                bar.advance(len(some))
                if max(effects) > top - self._settings.smallest_effect:
                    break  # nothing can stand out any more
        return effects


def _by_phrase(trials: Sequence[Trial], base: Sequence[float], tuned: Sequence[float]) -> list[PhraseTried]:
    """Each phrase with its stronger behaviour, the largest effect first."""
    best: dict[str, PhraseTried] = {}
    for trial, before, after in zip(trials, base, tuned, strict=True):
        one = PhraseTried(
            phrase=trial.phrase,
            origin=trial.origin,
            place=trial.place,
            behaviour=trial.behaviour,
            rows=trial.rows,
            alike=trial.alike,
            base_lift=round(before, 6),
            tuned_lift=round(after, 6),
            effect=round(after - max(before, 0.0), 6),
        )
        if trial.phrase not in best or one.effect > best[trial.phrase].effect:
            best[trial.phrase] = one
    return sorted(best.values(), key=lambda one: -one.effect)


def _ranked(phrase: PhraseTried, drawn: Sequence[float], tried: int) -> PhraseTried:
    if not drawn:
        return phrase
    p_value = (1 + sum(effect >= phrase.effect for effect in drawn)) / (1 + len(drawn))
    return phrase.model_copy(update={"p_value": min(1.0, round(tried * p_value, 6))})
