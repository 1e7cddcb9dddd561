"""What a selection of worked examples finds: how often those that stand before a question have its label.

    python benchmarks/selection.py banking77_train.csv banking77_test.csv --encoder FOLDER

Two tables with a text and a label. `--pool-rows` of the first are the pool and `--asked-rows` of the second are asked,
drawn by chance. `--encoder` is a sentence encoder, a folder or a Hub id; it takes the extra `embeddings`.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from burnish.advise.search import Index, SentenceIndex, WordIndex

SHOWN = 8


def main() -> None:
    """Measure each selection, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("asked", type=Path)
    parser.add_argument("--text", default="text", help="the column of the text")
    parser.add_argument("--label", default="category", help="the column of the label")
    parser.add_argument("--encoder", help="measure it beside BM25")
    parser.add_argument("--pool-rows", type=int, default=1500)
    parser.add_argument("--asked-rows", type=int, default=300)
    given = parser.parse_args()
    source = random.Random(0)
    pool = _drawn(given.pool, given.text, given.label, given.pool_rows, source)
    asked = _drawn(given.asked, given.text, given.label, given.asked_rows, source)
    ways: dict[str, Callable[[Sequence[str]], Index]] = {"bm25": WordIndex}
    if given.encoder:
        ways["embedding"] = lambda texts: SentenceIndex(texts, given.encoder)
    print(f"| selection | the nearest has the label | one of the {SHOWN} nearest has it | of | processor seconds |")
    print("|---|---|---|---|---|")
    for name, make in ways.items():
        began = time.process_time()
        index = make([text for text, _ in pool])
        found = [[pool[n][1] == label for n in index.nearest(text, SHOWN)] for text, label in asked]
        took = time.process_time() - began
        print(f"| {name} | {sum(f[0] for f in found)} | {sum(map(any, found))} | {len(found)} | {took:.1f} |")


def _drawn(path: Path, text: str, label: str, count: int, source: random.Random) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row[text], row[label]) for row in csv.DictReader(file)]
    source.shuffle(rows)
    return rows[:count]


if __name__ == "__main__":
    main()
