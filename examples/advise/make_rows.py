"""Write orders.jsonl and orders_test.jsonl: customers' messages that name an order, and its number as the reply;
no order is in both.

    python examples/advise/make_rows.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path

HERE = Path(__file__).parent
THINGS = ("lamp", "kettle", "desk", "rug", "mirror", "clock", "shelf", "blanket", "teapot", "chair", "vase", "basket")
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack", "Karl", "Lena", "Mara")
WORDINGS = (
    "Hello, where is my {thing}? The order is {order}. {name}",
    "I want to send back the {thing} of order {order}, bought {days} days ago.",
    "{order} has not arrived after {days} days. Please look into it. Thanks, {name}",
    "The {thing} in {order} is broken, and I would like another one.",
    "Can you change the address of {order}? I move in {days} days.",
    "My name is {name} and I have paid {order} twice.",
    "Please cancel {order}, I no longer need {count} of the {thing}s.",
    "About {order}: the {thing} has the wrong colour. {name}",
    "It has been {days} days, and nobody has written to me about {order} and the {thing}.",
    "Good morning, {name} here. Did you get the {thing} that I sent back, order {order}?",
    "{name} again. Any news of {order}? I have waited {days} days for the {thing}.",
    "I have got {count} {thing}s instead of one with {order}.",
    "Would you send me the bill for {order}? It was a {thing}.",
    "The {thing} came without its screws, my order was {order}, and I want it put right. {name}",
    "On {order} you promised {days} days.",
    "Is it too late to add a {thing} to {order}?",
)


def rows(numbers: list[int], rng: random.Random) -> list[dict[str, str]]:
    """A row for each order's number: a prompt and a completion."""
    found = []
    for index, number in enumerate(numbers):
        order = f"{rng.choice('ABCDEFGH')}{rng.choice('KLMNPRST')}-{number}"
        text = WORDINGS[index % len(WORDINGS)].format(
            order=order,
            thing=rng.choice(THINGS),
            name=rng.choice(NAMES),
            days=rng.randint(2, 30),
            count=rng.randint(2, 9),
        )
        found.append({"prompt": text, "completion": order})
    return found


def main() -> None:
    """Both files."""
    rng = random.Random(0)
    numbers = rng.sample(range(1000, 10_000), 260)
    for name, part in (("orders.jsonl", numbers[:160]), ("orders_test.jsonl", numbers[160:])):
        (HERE / name).write_text("".join(json.dumps(row) + "\n" for row in rows(part, rng)), encoding="utf-8")


if __name__ == "__main__":
    main()
