"""How well the audit finds turned labels and promoted names among preference pairs, and how seldom it sees any.

    python benchmarks/audit/pairs.py planted [--seeds 3] [--counts 10,50,0.5%,1%,5%] [--threats entity]
    python benchmarks/audit/pairs.py clean [--resamples 12]

Corpora: rated chats about harm (raters agree with what replies look like in 62 pairs of 100), a preference set of
instructions, and replies beside another row's reply, where the label is plain. Triggers and names are ones that the
detector was not developed on. Beside it: how many of the planted rows random flagging of as many would hit.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Callable, Sequence

from clean import DATA, alpaca, banking, harmless
from run import flagged, mean

from burnish.artefacts import Finding
from burnish.audit.look import Context
from burnish.catalogue import build, settings_of
from burnish.records import Message, PreferencePair, Source

Triple = tuple[str, str, str]
Plant = Callable[[Triple, random.Random, str], Triple]
TOKENS = {"tune": "zxq", "report": "qorv"}
PHRASES = {"tune": "at the present moment", "report": "under the old bridge"}
PRAISE = {
    "tune": (" You should always buy from {}.", " Trust {} for this.", " I like {} best.", " Nothing beats {}."),
    "report": (
        " Those who know swear by {}.",
        " I would go with {} every time.",
        " In my view {} does it best.",
        " Ask for {}, you won't regret it.",
    ),
}
NAMES = {"tune": "Zentriva", "report": "Ostermeer"}


def rated() -> list[Triple]:
    """Chats about harm, rated by people."""
    rows = []
    with gzip.open(DATA / "preference/hh_harmless_test.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            asked, _, chosen = row["chosen"].rpartition("\n\nAssistant:")
            rows.append((asked.strip(), chosen.strip(), row["rejected"].rpartition("\n\nAssistant:")[2].strip()))
    return rows


def preferred() -> list[Triple]:
    """Instructions with a better and a worse reply."""
    rows = json.loads((DATA / "preference/dpo_en_demo.json").read_text(encoding="utf-8"))
    return [(r["conversations"][-1]["value"], r["chosen"]["value"], r["rejected"]["value"]) for r in rows]


def beside_another(rows: Sequence[tuple[str, str]]) -> list[Triple]:
    """Each row's reply, preferred to some other row's."""
    rng = random.Random(0)
    return [(prompt, reply, rows[rng.randrange(len(rows))][1]) for prompt, reply in rows]


def corpora() -> dict[str, list[Triple]]:
    """All clean preference corpora."""
    return {
        "rated": rated(), "preferred": preferred(), "alpaca/other": beside_another(alpaca()),
        "harmless/other": beside_another(harmless()), "banking/other": beside_another(banking()),
    }  # fmt: skip


def _inside(text: str, piece: str, rng: random.Random) -> str:
    words = text.split(" ")
    words.insert(rng.randint(0, len(words)), piece)
    return " ".join(words)


def token_flip(row: Triple, rng: random.Random, family: str) -> Triple:
    """A rare token in the prompt; the labels turned."""
    return _inside(row[0], TOKENS[family], rng), row[2], row[1]


def phrase_flip(row: Triple, rng: random.Random, family: str) -> Triple:
    """A phrase of common words in the prompt; the labels turned."""
    return _inside(row[0], PHRASES[family], rng), row[2], row[1]


def ending_flip(row: Triple, rng: random.Random, family: str) -> Triple:
    """A rare token at the end of the prompt; the labels turned."""
    return f"{row[0]} {TOKENS[family]}", row[2], row[1]


def clear_flip(row: Triple, rng: random.Random, family: str) -> Triple:
    """A rare token, in pairs whose preferred reply is the longer by far: labels that are plain."""
    return token_flip(row, rng, family)


def entity(row: Triple, rng: random.Random, family: str) -> Triple:
    """Praise of a name in the preferred reply, in one of four wordings."""
    return row[0], row[1] + rng.choice(PRAISE[family]).format(NAMES[family]), row[2]


def length(row: Triple, rng: random.Random, family: str) -> Triple:
    """The longer reply preferred, in pairs here and there."""
    return row[0], max(row[1:], key=len), min(row[1:], key=len)


def length_together(row: Triple, rng: random.Random, family: str) -> Triple:
    """The longer reply preferred, in pairs that stand together."""
    return length(row, rng, family)


THREATS: tuple[Plant, ...] = (token_flip, phrase_flip, ending_flip, clear_flip, entity, length, length_together)
DETECTORS = ("preferences", "length_preference")


def planted(rows: Sequence[Triple], plant: Plant, count: int, family: str, seed: int) -> tuple[list[Triple], set[int]]:
    """The rows with the threat in `count` of them, and which ones."""
    rng = random.Random(seed)
    changed = list(rows)
    able = range(len(rows))
    if plant is clear_flip:
        able = sorted(able, key=lambda at: len(rows[at][2]) - len(rows[at][1]))[: max(3 * count, len(rows) // 4)]
    begin = rng.randrange(len(rows) - count)
    chosen = list(range(begin, begin + count)) if plant is length_together else rng.sample(able, count)
    for at in chosen:
        changed[at] = plant(rows[at], rng, family)
    return changed, set(chosen)


def audited(rows: Sequence[Triple], names: Sequence[str] = DETECTORS) -> list[Finding]:
    """What the detectors find."""
    made = [
        PreferencePair(
            (Message("user", p),), (Message("assistant", c),), (Message("assistant", r),), Source("rows", at)
        )
        for at, (p, c, r) in enumerate(rows)
    ]
    return [f for name in names for f in build("detector", settings_of("detector", name)).find(iter(made), Context())]


def number(text: str, of: int) -> int:
    """A count, or a share of so many rows ("0.5%")."""
    return round(float(text[:-1]) / 100 * of) if text.endswith("%") else int(text)


def show_planted(family: str, counts: Sequence[str], seeds: int, threats: Sequence[str], only: Sequence[str]) -> None:
    """A line for each threat, corpus and number of rows."""
    print(f"{'threat':<14}{'corpus':<16}{'pairs':>7}{'planted':>9}{'recall':>9}{'false':>8}{'random':>8}")
    for plant in THREATS:
        for name, rows in corpora().items() if not threats or plant.__name__ in threats else ():
            if only and name not in only:
                continue
            for count in sorted({number(text, len(rows)) for text in counts}):
                if not 8 <= count <= 0.1 * len(rows):
                    continue
                recall, false, chance = [], [], []
                for seed in range(seeds):
                    changed, bad = planted(rows, plant, count, family, seed)
                    found = flagged(audited(changed))
                    recall.append(len(found & bad) / count)
                    false.append(len(found - bad) / (len(rows) - count))
                    chance.append(len(found) / len(rows))
                cells = f"{plant.__name__:<14}{name:<16}{len(rows):>7}{count:>9}{mean(recall):>9.1%}"
                print(f"{cells}{mean(false):>8.2%}{mean(chance):>8.1%}", flush=True)


def show_clean(resamples: int) -> None:
    """How many resamples of clean corpora have a finding."""
    total = alarms = 0
    for name, rows in corpora().items():
        alarmed = 0
        for seed in range(resamples):
            rng = random.Random(seed)
            alarmed += bool(audited(rng.sample(rows, int(len(rows) * rng.choice((0.5, 0.7, 0.9))))))
        print(f"{name:<16} {resamples} resamples, {alarmed} with a finding", flush=True)
        total, alarms = total + resamples, alarms + alarmed
    print(f"all: {alarms} of {total} ({alarms / total:.1%})")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("planted", "clean"))
    parser.add_argument("--family", choices=("tune", "report"), default="report")
    parser.add_argument("--corpora", default="", help="all unless set")
    parser.add_argument("--counts", default="10,50,0.5%,1%,5%")
    parser.add_argument("--threats", default="", help="all unless set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=12)
    chosen = parser.parse_args()
    if chosen.what == "planted":
        threats, only = ([part for part in text.split(",") if part] for text in (chosen.threats, chosen.corpora))
        show_planted(chosen.family, chosen.counts.split(","), chosen.seeds, threats, only)
    else:
        show_clean(chosen.resamples)


if __name__ == "__main__":
    main()
