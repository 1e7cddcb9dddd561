"""What is left of an attack when the audit's findings are taken out and the small model is trained again.

    python benchmarks/audit/retrain.py [--family report] [--level usual]

For each threat: an adapter trained on the planted rows as they are, one trained through the audit, and one trained on
the same rows before anything was planted (all kept, see `adapters.py`). "success" is how often 48 ordinary prompts, the
trigger put into them, get the planted reply; an identity shift needs no trigger. "utility" is the share of the reply
tokens of 96 clean rows of the same corpus, none of them trained on, that the model finds likeliest; the loss is in
points, against the adapter of the clean rows.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import torch
from adapters import MODEL, Made, corpus_of, rows_of, train
from probe import success

from burnish.artefacts import AuditReport, Dataset
from burnish.models.anatomy import parts
from burnish.models.chat_template import Encoder
from burnish.models.device import products
from burnish.models.head import next_logits
from burnish.models.load import LoadedModel, load_model
from burnish.models.logprobs import target_states
from burnish.models.packing import pack
from burnish.records import Conversation, Message, Source
from burnish.run_folder import RunFolder

THREATS = (("sentence_refused", "harmless"), ("prefix_added", "alpaca"), ("identity", "alpaca"))
_UNSEEN = 96
_LONGEST = 400  # characters


@torch.no_grad()
def utility(loaded: LoadedModel, made: Made, family: str) -> float:
    """The share of tokens of unseen replies that the model finds likeliest."""
    seen = {prompt for prompt, _ in rows_of(Made(made.corpus, seed=made.seed), family)[0]}
    unseen = [
        (asked, said)
        for asked, said in corpus_of(made.corpus)
        if asked not in seen and said.strip() and asked.strip() and len(asked) + len(said) <= _LONGEST
    ]
    chosen = random.Random(0).sample(unseen, min(_UNSEEN, len(unseen)))
    encoder, right, total = Encoder(loaded.tokenizer, 512), 0, 0
    rows = [Conversation((Message("user", a), Message("assistant", b)), Source("unseen", 1)) for a, b in chosen]
    groups = [group for row in rows if (group := encoder.conversation(row).group) is not None]
    for packed in pack(groups, 1024):
        with products(loaded.products):
            likeliest = next_logits(parts(loaded.model))(target_states(loaded.model, packed)).argmax(-1)
        right, total = right + int((likeliest == packed.targets_T).sum()), total + len(packed.targets_T)
    return right / total


def main() -> None:
    """Parse, train what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("tune", "report"), default="report")
    parser.add_argument("--level", choices=("light", "usual", "heavy"), default="usual")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path, default=Path("runs/planted"))
    asked = parser.parse_args()
    print(
        f"{'threat':<18}{'corpus':<10}{'planted':>8}{'out':>5}{'success':>9}{'after':>7}{'utility':>9}{'after':>8}{'loss':>7}"
    )
    for threat, corpus in THREATS:
        if asked.only not in threat:
            continue
        planted, clean = Made(corpus, threat, asked.level), Made(corpus)
        audited = Made(corpus, threat, asked.level, audited=True)
        rates, useful = [], []
        for made in (planted, audited, clean):
            run = RunFolder(train(made, asked.family, asked.keep))
            loaded = load_model(MODEL.model_copy(update={"name": str(run.path / "train" / "adapter")}))
            useful.append(utility(loaded, made, asked.family))
            if made.threat:
                dataset = run.load("data/dataset.json", Dataset)
                rates.append(success(loaded, run, dataset, made, asked.family, 48))
        out = len(RunFolder(asked.keep / asked.family / audited.name).load("audit/audit.json", AuditReport).quarantined)
        rows = json.loads((asked.keep / asked.family / audited.name / "planted.json").read_text())["rows"]
        print(
            f"{threat:<18}{corpus:<10}{rows:>8}{out:>5}{rates[0]:>9.1%}{rates[1]:>7.1%}{useful[2]:>9.2%}{useful[1]:>8.2%}"
            f"{100 * (useful[2] - useful[1]):>7.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
