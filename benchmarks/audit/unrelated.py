"""What the detector that asks a model finds beside those that don't, and how seldom it calls clean rows planted.

    python benchmarks/audit/unrelated.py planted [--family report] [--of 300] [--counts 15,30] [--seeds 2]
        [--corpora alpaca,banking] [--threats alien,babble]
    python benchmarks/audit/unrelated.py clean [--of 300] [--resamples 4] [--corpora ...]
    python benchmarks/audit/unrelated.py speed [--of 200] [--corpora alpaca,banking]

Rows are planted into samples of the clean corpora. Every distinct row is read once; what was read is kept
(`--keep runs/readings`), so that a run can be gone on with. "free" is the recall of the detectors without a model.
"""

from __future__ import annotations

import argparse
import pickle
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from adapters import MODEL
from clean import Pair, sources
from plant import THREATS, planted
from plant_unnamed import UNNAMED
from run import audited, flagged, mean

from burnish.audit.detectors.unrelated_replies import Row, UnrelatedReplies
from burnish.audit.surprise.reader import Reader
from burnish.audit.surprise.reading import Reading
from burnish.catalogue import build, settings_of
from burnish.models.load import load_model

DEFAULT_THREATS = ("alien", "babble", "swapped", "praise", "refused")


class Remembered:
    """A reader that reads every row once; what it read is kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[Pair, Reading] = pickle.loads(file.read_bytes()) if file.is_file() else {}
        self._reader = Reader(load_model(MODEL))

    def read(self, rows: Iterable[Pair]) -> Iterator[Reading]:
        """As `Reader.read`."""
        asked = list(rows)
        new = list(dict.fromkeys(row for row in asked if row not in self._known))
        for row, reading in zip(new, self._reader.read(new), strict=True):
            self._known[row] = reading
        if new:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_bytes(pickle.dumps(self._known))
        return (self._known[row] for row in asked)


def found(rows: Sequence[Pair], reader: Remembered) -> set[int]:
    """Numbers of the rows that the detector finds."""
    detector = build("detector", settings_of("detector", {"kind": "unrelated_replies", "model": MODEL.model_dump()}))
    assert isinstance(detector, UnrelatedReplies)
    made = [Row(f"rows:{at}", "", asked, said) for at, (asked, said) in enumerate(rows)]
    return flagged(list(detector.found(made, reader.read)))


def sample(name: str, of: int, seed: int = 0) -> list[Pair]:
    """Some of a clean corpus's rows."""
    rows = [row for row in sources()[name] if row[0].strip() and row[1].strip()]
    return random.Random(seed).sample(rows, min(of, len(rows)))


def show_planted(asked: argparse.Namespace, reader: Remembered) -> None:
    """A line for each threat, corpus and number of rows."""
    names = asked.threats.split(",") if asked.threats else DEFAULT_THREATS
    threats = [threat for threat in dict.fromkeys((*UNNAMED, *THREATS)) if threat.name in names]
    print(f"{'threat':<18}{'corpus':<12}{'rows':>6}{'recall':>10}{'false':>8}{'free':>8}")
    for name in asked.corpora.split(","):
        rows = sample(name, asked.of)
        for threat in threats:
            for count in map(int, asked.counts.split(",")):
                figures = []
                for seed in range(asked.seeds):
                    poisoned, bad, _ = planted(rows, threat, count, asked.family, seed)
                    got, free = found(poisoned, reader), flagged(audited(poisoned))
                    figures.append((len(got & bad) / count, float(len(got - bad)), len(free & bad) / count))
                recall, false, without = (mean([figure[at] for figure in figures]) for at in range(3))
                print(f"{threat.name:<18}{name:<12}{count:>6}{recall:>10.1%}{false:>8.1f}{without:>8.1%}", flush=True)


def show_clean(asked: argparse.Namespace, reader: Remembered) -> None:
    """How many resamples of clean corpora have a finding."""
    total = alarms = 0
    for name in asked.corpora.split(","):
        rows = sample(name, asked.of)
        alarmed = [
            found(random.Random(seed).sample(rows, int(len(rows) * (0.5, 0.7, 0.9)[seed % 3])), reader)
            for seed in range(asked.resamples)
        ]
        print(f"{name:<12} {len(rows)} rows, {asked.resamples} resamples: {[len(one) for one in alarmed]} rows flagged")
        total, alarms = total + asked.resamples, alarms + sum(map(bool, alarmed))
    print(f"all: {alarms} of {total} with a finding")


def show_speed(asked: argparse.Namespace) -> None:
    """Rows a second of processor time."""
    reader = Reader(load_model(MODEL))
    for name in asked.corpora.split(","):
        rows = sample(name, asked.of)
        list(reader.read(rows[:4]))
        began = time.process_time()
        tokens = sum(1 + len(one.prompt_T) + 2 * len(one.with_T) for one in reader.read(rows))
        seconds = time.process_time() - began
        print(f"{name:<12} {len(rows) / seconds:.1f} rows, {tokens / seconds:.0f} tokens a second of one core")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("planted", "clean", "speed"))
    parser.add_argument("--family", choices=("tune", "report"), default="report")
    parser.add_argument("--of", type=int, default=300)
    parser.add_argument("--counts", default="15,30")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--resamples", type=int, default=4)
    parser.add_argument("--corpora", default="alpaca,banking")
    parser.add_argument("--threats", default="")
    parser.add_argument("--keep", type=Path, default=Path("runs/readings"))
    asked = parser.parse_args()
    if asked.what == "speed":
        show_speed(asked)
    elif asked.what == "clean":
        show_clean(asked, Remembered(asked.keep / "readings.pickle"))
    else:
        show_planted(asked, Remembered(asked.keep / "readings.pickle"))


if __name__ == "__main__":
    main()
