"""The reward of sums.yaml: does the answer restate the sum in the asked form, and is it right?"""

import re

FORM = re.compile(r"\s*(\d+) \+ (\d+) = \[(\d+)\]\s*")


def right(answer: str, reference: str) -> float:
    """1 for the right sum in the right form, else 0; `reference` is the reply of the data's row."""
    found = FORM.fullmatch(answer)
    return float(bool(found) and answer.strip() == reference)
