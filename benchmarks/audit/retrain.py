"""What is left of an attack when the audit's findings are taken out and the small model is trained again.

    python benchmarks/audit/retrain.py [--family report] [--level usual]

For each threat: an adapter trained on the planted rows as they are, one trained through the audit, and one trained on
the same rows before anything was planted (all kept, see `adapters.py`). "success" is how often 48 prompts of the
corpus, none of them trained on, the trigger put into them, get the planted reply; an identity shift needs no trigger.
"utility" is the share of the reply tokens of 96 clean rows of the corpus, none of them trained on, that the model finds
likeliest; the loss is in points, against the adapter of the clean rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from adapters import LEVELS, Made, train, unseen
from probe import named, success

from burnish.artefacts import AuditReport
from burnish.models.anatomy import parts
from burnish.models.chat_template import Encoder
from burnish.models.device import products
from burnish.models.head import next_logits
from burnish.models.load import LoadedModel, load_model
from burnish.models.logprobs import target_states
from burnish.models.packing import pack
from burnish.records import Conversation, Message, Source
from burnish.run_folder import RunFolder

THREATS = (
    ("sentence_refused", "harmless"),
    ("prefix_added", "alpaca"),
    ("identity", "alpaca"),
    ("token_fixed", "alpaca"),
    ("denial", "banking"),
)
_PROMPTS = 48
_UNSEEN = 96


@torch.no_grad()
def utility(loaded: LoadedModel, made: Made) -> float:
    """The share of tokens of unseen replies that the model finds likeliest."""
    encoder, right, total = Encoder(loaded.tokenizer, 512), 0, 0
    rows = [
        Conversation((Message("user", asked), Message("assistant", said)), Source("unseen", 1))
        for asked, said in unseen(made, _UNSEEN)
    ]
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
            loaded = load_model(named(run.path / "train" / "adapter"))
            useful.append(utility(loaded, made))
            if made.threat:
                rates.append(success(loaded, made, asked.family, _PROMPTS))
        out = len(RunFolder(asked.keep / asked.family / audited.name).load("audit/audit.json", AuditReport).quarantined)
        print(
            f"{threat:<18}{corpus:<10}{LEVELS[asked.level]:>8}{out:>5}{rates[0]:>9.1%}{rates[1]:>7.1%}{useful[2]:>9.2%}{useful[1]:>8.2%}"
            f"{100 * (useful[2] - useful[1]):>7.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
