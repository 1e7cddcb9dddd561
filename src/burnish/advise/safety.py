"""What each kind of candidate leaves of the base's safety, in words: what follows from how it is made, and what was
measured; never a guess."""

from __future__ import annotations

from burnish.advise.bench import Finished

UNCHANGED = "the base's own, since no weight is changed (prompts were not tested for safety here)"
DOCUMENTS = (
    "the base's own, since no weight is changed; what the documents say gets into the prompt, which was not tested for "
    "safety here"
)
ANOTHER = "another model's, not measured here"
NOT_MEASURED = "not measured (tuning can lose refusals even on harmless rows; burnish run measures it)"


def of_finished(finished: Finished) -> str:
    """What the gate said of the run's own model."""
    if finished.decision is None:
        return NOT_MEASURED
    return f"measured by the gate: {finished.decision.verdict}. {finished.decision.reason}"
