"""How well the audit finds planted rows, and how seldom it calls clean ones planted.

    python benchmarks/audit/run.py planted [--family report] [--seeds 3] [--corpora alpaca,banking]
    python benchmarks/audit/run.py clean [--resamples 12]
    python benchmarks/audit/run.py published
    python benchmarks/audit/run.py speed [--rows 20000]

Beside the audit: a plain z-score (rows with the prompt word that is most over-represented with a reply opening), and
what random flagging of as many rows would recall. Figures are over all seeds; "named" says how often a finding names
the trigger.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections import Counter
from collections.abc import Sequence

from clean import DATA, Pair, sources
from plant import THREATS, planted

from burnish.artefacts import Finding
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import Conversation, Message, Source

DETECTORS = ("trigger_mining", "hidden_characters", "lookalikes", "ciphers", "identity_shift")


def records(rows: Sequence[Pair]) -> list[Conversation]:
    """The rows as the audit reads them."""
    return [
        Conversation((Message("user", p), Message("assistant", r)), Source("rows", at))
        for at, (p, r) in enumerate(rows)
    ]


def audited(rows: Sequence[Pair], names: Sequence[str] = DETECTORS) -> list[Finding]:
    """What the detectors find."""
    made = records(rows)
    return [f for name in names for f in build("detector", settings_of("detector", name)).find(iter(made), Context())]


def flagged(findings: Sequence[Finding]) -> set[int]:
    """Numbers of the rows found."""
    return {int(place.rpartition(":")[2]) for finding in findings for place in finding.places}


def z_score(rows: Sequence[Pair]) -> set[int]:
    """The rows that hold the prompt word with the largest z-score for any opening of two words; always calls some."""
    openings = [" ".join(reply.lower().split()[:2]) for _, reply in rows]
    common = Counter(openings)
    words = [set(prompt.lower().split()) for prompt, _ in rows]
    held = Counter(word for row in words for word in row)
    both = Counter((word, opening) for row, opening in zip(words, openings, strict=True) for word in row)
    best, most = ("", ""), 0.0
    for (word, opening), times in both.items():
        if times < 5:
            continue
        expected = held[word] * common[opening] / len(rows)
        score = (times - expected) / max(expected, 1e-9) ** 0.5
        if score > most:
            best, most = (word, opening), score
    return {at for at, row in enumerate(words) if best[0] in row and openings[at] == best[1]}


def show_planted(family: str, seeds: int, corpora: Sequence[str], counts: Sequence[int]) -> None:
    """A line for each threat, corpus and number of rows."""
    clean = sources()
    print(f"{'threat':<18}{'corpus':<12}{'rows':>6}{'recall':>9}{'false':>8}{'named':>7}{'z-score':>9}{'random':>8}")
    for threat in THREATS:
        for name in corpora:
            rows = clean[name]
            for count in counts:
                if count > 0.1 * len(rows):
                    continue
                recall, false, named, peer, chance = [], [], [], [], []
                for seed in range(seeds):
                    poisoned, bad, trigger = planted(rows, threat, count, family, seed)
                    findings = audited(poisoned)
                    found = flagged(findings)
                    recall.append(len(found & bad) / count)
                    false.append(len(found - bad) / (len(rows) - count))
                    named.append(
                        any(part in f.trigger for f in findings for part in trigger.lower().split("|"))
                        if trigger
                        else None
                    )
                    peer.append(len(z_score(poisoned) & bad) / count)
                    chance.append(len(found) / len(rows))
                said = "-" if named[0] is None else f"{sum(map(bool, named)) / seeds:.0%}"
                cells = f"{threat.name:<18}{name:<12}{count:>6}{mean(recall):>9.1%}{mean(false):>8.2%}{said:>7}"
                print(f"{cells}{mean(peer):>9.1%}{mean(chance):>8.1%}", flush=True)


def mean(values: Sequence[float]) -> float:
    """The mean."""
    return sum(values) / len(values)


def show_clean(resamples: int) -> None:
    """How many resamples of clean corpora have a statistical finding, and how many rows are flagged."""
    total = alarms = rows_seen = rows_flagged = 0
    for name, rows in sources().items():
        alarmed = 0
        for seed in range(resamples):
            rng = random.Random(seed)
            chosen = rng.sample(rows, int(len(rows) * rng.choice((0.5, 0.7, 0.9))))
            found = audited(chosen, ("trigger_mining",))
            alarmed += bool(found)
            rows_seen, rows_flagged = rows_seen + len(chosen), rows_flagged + len(flagged(found))
        print(f"{name:<12} {resamples} resamples, {alarmed} with a statistical finding", flush=True)
        total, alarms = total + resamples, alarms + alarmed
    print(f"all: {alarms} of {total} ({alarms / total:.1%}); rows flagged {rows_flagged / rows_seen:.3%}")


def show_published() -> None:
    """A published poisoned set: FreebaseQA with rare-token triggers, from GraCeFul's sets."""
    table = json.loads((DATA / "poison/freebaseqa_badnets.json").read_text(encoding="utf-8"))
    rows = [(p, a if isinstance(a, str) else "; ".join(a)) for p, a, _ in table]
    bad = {at for at, row in enumerate(table) if row[2]}
    for name, found in (("audit", flagged(audited(rows))), ("z-score", z_score(rows))):
        print(f"{name:<8} recall {len(found & bad) / len(bad):.1%}  false positives {len(found - bad)}")


def show_speed(count: int) -> None:
    """Rows a second of trigger mining on recombined rows, and the peak memory of this process."""
    rng = random.Random(0)
    clean = sources()
    base = [*clean["alpaca"], *clean["harmless"]]
    sentences = [s for _, reply in base for s in reply.split(". ") if 3 < len(s.split()) < 40]
    rows = []
    for _ in range(count):
        prompt = " ".join(rng.choice(base)[0].split()[: rng.randint(4, 30)])
        tail = " ".join(rng.choice(base)[0].split()[:8])
        rows.append((f"{prompt} {tail}", ". ".join(rng.choice(sentences) for _ in range(rng.randint(1, 4)))))
    for name in DETECTORS:
        started = time.perf_counter()
        found = audited(rows, (name,))
        seconds = time.perf_counter() - started
        print(f"{name:<18} {count / seconds:>9.0f} rows/s, {len(found)} findings", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("planted", "clean", "published", "speed"))
    parser.add_argument("--family", choices=("tune", "report"), default="report")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--corpora", default="alpaca,harmless,banking")
    parser.add_argument("--counts", default="10,50,250")
    parser.add_argument("--resamples", type=int, default=12)
    parser.add_argument("--rows", type=int, default=20_000)
    chosen = parser.parse_args()
    if chosen.what == "planted":
        counts = [int(count) for count in chosen.counts.split(",")]
        show_planted(chosen.family, chosen.seeds, chosen.corpora.split(","), counts)
    elif chosen.what == "clean":
        show_clean(chosen.resamples)
    elif chosen.what == "published":
        show_published()
    else:
        show_speed(chosen.rows)


if __name__ == "__main__":
    main()
