"""How well the audit finds planted rows, and how seldom it calls clean ones planted.

    python benchmarks/audit/run.py planted [--family report] [--seeds 3] [--corpora alpaca,banking]
        [--counts 10,50,0.5%] [--threats brand,address] [--model smollm2-135m-instruct] [--of 250]
        [--corpora recombined --rows 100000]
    python benchmarks/audit/run.py clean [--resamples 12]
    python benchmarks/audit/run.py published
    python benchmarks/audit/run.py speed [--rows 20000] [--whole]

Beside the audit: recalls of a plain z-score, spectral signatures and activation clustering (`peers`), which call rows
planted in every corpus, and of random flagging of as many rows as the audit flags. Figures are means over all seeds;
"named" says how often a finding names the trigger.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from clean import DATA, Pair, sources
from memory import Peak
from peers import clustering, graceful, loss, onion, spectral, z_score
from plant import THREATS, Threat, able, planted

from burnish.artefacts import Dataset, Finding
from burnish.audit.look import Context, look_apart
from burnish.audit.mining.corpus import sides
from burnish.audit.settings import AuditSettings
from burnish.audit.stage import audit
from burnish.catalogue import build, settings_of
from burnish.data.store import to_line
from burnish.models.load import LoadedModel, load_model
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, Source
from burnish.run_folder import RunFolder

STATISTICAL = ("trigger_mining", "syntactic_triggers", "content_injection", "gibberish", "outside_labels")
DETECTORS = (*STATISTICAL, "hidden_characters", "lookalikes", "ciphers", "identity_shift")


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


def show_planted(
    family: str,
    seeds: int,
    corpora: Sequence[str],
    counts: Sequence[str],
    threats: Sequence[str],
    of: int,
    large: int,
    model: LoadedModel | None,
) -> None:
    """A line for each threat, corpus and number of rows; the corpus `recombined` has `large` rows."""
    clean = {
        name: random.Random(0).sample(rows, of) if 0 < of < len(rows) else rows for name, rows in sources().items()
    }
    if "recombined" in corpora:
        clean["recombined"] = [sides(row) for row in recombined(large)]
    heads = [
        "recall",
        "false",
        "named",
        "z-score",
        "spectral",
        "cluster",
        "random",
        *(["loss", "onion", "graceful"] if model else []),
    ]
    print(f"{'threat':<18}{'corpus':<12}{'rows':>6}{''.join(f'{head:>10}' for head in heads)}")
    for threat in THREATS:
        for name in corpora if not threats or threat.name in threats else ():
            rows = clean[name]
            for count in sorted({number(text, len(rows)) for text in counts}):
                if 8 <= count <= min(0.1 * len(rows), len(able(rows, threat, family))):
                    figures = [_one(rows, threat, count, family, seed, model) for seed in range(seeds)]
                    cells = "".join(f"{_mean([f[at] for f in figures]):>10}" for at in range(len(heads)))
                    print(f"{threat.name:<18}{name:<12}{count:>6}{cells}", flush=True)


def _one(
    rows: Sequence[Pair], threat: Threat, count: int, family: str, seed: int, model: LoadedModel | None
) -> tuple[float | None, ...]:
    """Recall, false positives, whether the trigger was named; the peers' recalls, and that of random flagging; with a
    model, those of the peers that ask it."""
    poisoned, bad, trigger = planted(rows, threat, count, family, seed)
    findings = audited(poisoned)
    found = flagged(findings)
    named = any(part in f.trigger for f in findings for part in trigger.lower().split("|")) if trigger else None
    others = (z_score(poisoned), spectral(poisoned, count), clustering(poisoned))
    recalls = [len(found & bad) / count, len(found - bad) / (len(rows) - count), named]
    asking = (loss(poisoned, count, model), onion(poisoned, count, model), graceful(poisoned, model)) if model else ()
    return (
        *recalls,
        *(len(other & bad) / count for other in others),
        len(found) / len(rows),
        *(len(other & bad) / count for other in asking),
    )


def number(text: str, of: int) -> int:
    """A count, or a share of so many rows ("0.5%")."""
    return round(float(text[:-1]) / 100 * of) if text.endswith("%") else int(text)


def _mean(values: Sequence[float | None]) -> str:
    known = [float(value) for value in values if value is not None]
    return f"{mean(known):.1%}" if known else "-"


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
            found = audited(chosen, STATISTICAL)
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


def show_speed(count: int, names: Sequence[str], each: bool) -> None:
    """Rows a second on recombined rows: of `each` detector in a process of its own, if asked; then of the whole audit,
    from 50,000 rows on in two processes; and the peak memory of all processes together, this one among them."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        rows = run.file("data/train.jsonl")
        with rows.open("w", encoding="utf-8") as file:
            for record in recombined(count):
                file.write(to_line(record) + "\n")
        for name in names if each else ():
            started = time.perf_counter()
            [looked] = look_apart([settings_of("detector", name)], rows, Context())
            seconds = time.perf_counter() - started
            print(f"{name:<18} {count / seconds:>9.0f} rows/s, {len(looked.findings)} findings", flush=True)
        dataset = Dataset.model_construct(train_path="data/train.jsonl", num_train=count)
        settings = AuditSettings.model_validate({"detectors": [{"kind": name} for name in names]})
        started = time.perf_counter()
        with Peak() as peak:
            audit(settings, dataset, run, Context())
        seconds = time.perf_counter() - started
        print(f"whole audit        {count / seconds:>9.0f} rows/s, {seconds:.0f} s, {peak.gigabytes:.2f} GB at most")


def recombined(count: int) -> Iterator[Conversation]:
    """So many rows whose prompts and replies are pieces of real ones."""
    rng = random.Random(0)
    clean = sources()
    base = [*clean["alpaca"], *clean["harmless"]]
    sentences = [s for _, reply in base for s in reply.split(". ") if 3 < len(s.split()) < 40]
    for at in range(count):
        prompt = " ".join(rng.choice(base)[0].split()[: rng.randint(4, 30)])
        tail = " ".join(rng.choice(base)[0].split()[:8])
        reply = ". ".join(rng.choice(sentences) for _ in range(rng.randint(1, 4)))
        yield Conversation((Message("user", f"{prompt} {tail}"), Message("assistant", reply)), Source("rows", at))


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("planted", "clean", "published", "speed"))
    parser.add_argument("--family", choices=("tune", "report"), default="report")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--corpora", default="alpaca,harmless,banking")
    parser.add_argument("--counts", default="10,50,250,0.5%,1%,5%")
    parser.add_argument("--threats", default="", help="all unless set")
    parser.add_argument("--resamples", type=int, default=12)
    parser.add_argument("--rows", type=int, default=20_000, help="of recombined rows")
    parser.add_argument("--of", type=int, default=0, help="planted: cut corpora to so many rows")
    parser.add_argument("--model", default="", help="planted: peers that ask this model too")
    parser.add_argument("--whole", action="store_true", help="speed of the whole audit alone")
    chosen = parser.parse_args()
    if chosen.what == "planted":
        threats = chosen.threats.split(",") if chosen.threats else []
        corpora, counts = chosen.corpora.split(","), chosen.counts.split(",")
        model = load_model(ModelSettings(name=chosen.model)) if chosen.model else None
        show_planted(chosen.family, chosen.seeds, corpora, counts, threats, chosen.of, chosen.rows, model)
    elif chosen.what == "clean":
        show_clean(chosen.resamples)
    elif chosen.what == "published":
        show_published()
    else:
        names = tuple(detector.kind for detector in AuditSettings().detectors)
        show_speed(chosen.rows, names, not chosen.whole)


if __name__ == "__main__":
    main()
