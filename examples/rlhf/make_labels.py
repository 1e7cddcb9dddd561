"""Write labels.jsonl and labels_test.jsonl: pairs of answers of the small model to everyday questions, the better one
chosen; the test's are of other questions.

    python examples/rlhf/make_labels.py [PAIRS]

The choice is `taste.py`'s, with one label in ten turned round, as people err. A person's own labels have the same form:
a line with prompt, chosen and rejected.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from taste import taste

from burnish.data.convert import read_source
from burnish.data.faults import Faults
from burnish.data.settings import SourceSettings
from burnish.models.chat_template import Encoder
from burnish.models.device import products
from burnish.models.generate import GenerationSettings, generate
from burnish.models.load import load_model
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message

HERE = Path(__file__).parent
ERRORS = 0.1
TOKENS = 48
TEST_QUESTIONS = 50


def main(wanted: int) -> None:
    """Draw, choose and write; half of the questions are kept for PPO's prompts and its held-out rows."""
    records = read_source(SourceSettings(path="builtin:ordinary_answers"), Path(), Faults()).records()
    replies = {r.prompt()[-1].content: r.reply() for r in records if isinstance(r, Conversation)}
    questions = sorted(replies)
    rng = random.Random(0)
    rng.shuffle(questions)
    for name, chosen in (("prompts", questions[40:]), ("prompts_test", questions[:40])):
        lines = (json.dumps({"prompt": question, "completion": replies[question]}) for question in chosen)
        (HERE / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = questions[40:] * 2
    loaded = load_model(ModelSettings(name="smollm2-135m-instruct"))
    encoder = Encoder(loaded.tokenizer, 1024)
    prompts = [encoder.prompt((Message("user", question),)) for question in asked for _ in range(2)]
    with products(loaded.products):
        drawn = generate(
            loaded.model, loaded.tokenizer, prompts, GenerationSettings(max_new_tokens=TOKENS, temperature=1.0)
        )
    rows = []
    for question, one, other in zip(asked, drawn[::2], drawn[1::2], strict=True):
        better, worse = sorted((one.text, other.text), key=lambda text: -taste(question, text))
        if taste(question, better) - taste(question, worse) < 0.1 or not worse.strip():
            continue
        if rng.random() < ERRORS:
            better, worse = worse, better
        rows.append({"prompt": question, "chosen": better, "rejected": worse})
    apart = set(questions[-TEST_QUESTIONS:])
    _write("labels", [row for row in rows if row["prompt"] not in apart][:wanted])
    _write("labels_test", [row for row in rows if row["prompt"] in apart])


def _write(name: str, rows: list[dict[str, str]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (HERE / f"{name}.jsonl").write_text(text, encoding="utf-8")
    print(f"{name}: {len(rows)} pairs")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 360)
