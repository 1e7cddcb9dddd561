"""What is lost by keeping a teacher's likeliest tokens alone: the divergence that distillation by logits sees, beside
that of the whole distributions.

    python benchmarks/top_tokens.py runs/with-refusals [--rows 100]

The rows are those that the run was trained on, the student is what the run began with and what it ended with. At each
target the forward KL of the teacher's whole distribution is laid beside that of its K likeliest tokens and one more for
the rest, which is never more. `kept` is the teacher's probability that lies on the K tokens, and `bytes` what a target
takes on disk.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch

from burnish.artefacts import Dataset, TrainedModel
from burnish.data.store import read_records
from burnish.models.chat_template import Encoder
from burnish.models.distributions import read_distributions
from burnish.models.groups import PromptGroup
from burnish.models.load import LoadedModel, load_model
from burnish.models.packing import lay_out
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train.conversations import encode_conversation
from burnish.train.divergences import forward_kl, forward_kl_of_top

TOP = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run that distilled a local teacher")
    parser.add_argument("--rows", type=int, default=100, help="how many of its rows, evenly spaced")
    asked = parser.parse_args()
    run = RunFolder(asked.run)
    trained = run.load("train/train.json", TrainedModel)
    assert trained.teacher is not None, "the run has no teacher"
    teacher = load_model(ModelSettings(name=trained.teacher.path))
    groups = list(rows(run, teacher, asked.rows))
    print(
        "| student | likeliest tokens | kept | KL of the whole | KL of these | error | largest at one target | bytes |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for called, folder in (("as it began", trained.base.path), ("as it ended", str(run.file(trained.path)))):
        print("\n".join(table(called, teacher, load_model(ModelSettings(name=folder)), groups)), flush=True)


def rows(run: RunFolder, teacher: LoadedModel, count: int) -> Iterator[PromptGroup]:
    """Evenly spaced rows of the run's training data, encoded."""
    dataset = run.load("data/dataset.json", Dataset)
    encoder = Encoder(teacher.tokenizer, 1024)
    step = max(1, dataset.num_train // count)
    for record in islice(read_records(run.file(dataset.train_path)), 0, step * count, step):
        group = encode_conversation(record, encoder, "distill").group
        if group is not None:
            yield group


@torch.no_grad()
def table(called: str, teacher: LoadedModel, student: LoadedModel, groups: list[PromptGroup]) -> Iterator[str]:
    """A line for each number of tokens."""
    whole, kept, of_top = [], {k: [] for k in TOP}, {k: [] for k in TOP}  # type: ignore[var-annotated]
    for group in groups:
        teacher_TV, student_TV = (
            read_distributions(each.model, lay_out([group]), torch.clone) for each in (teacher, student)
        )
        whole.append(forward_kl(teacher_TV, student_TV))
        values_TK, tokens_TK = teacher_TV.topk(max(TOP))
        for k in TOP:
            kept[k].append(values_TK[:, :k].exp().sum(-1))
            of_top[k].append(forward_kl_of_top(values_TK[:, :k], tokens_TK[:, :k], student_TV))
    whole_T = torch.cat(whole)
    for k in TOP:
        found_T = torch.cat(of_top[k])
        lost = float((whole_T - found_T).sum() / whole_T.sum())
        yield (
            f"| {called}, {len(whole_T):,} targets | {k} | {float(torch.cat(kept[k]).mean()):.2%} | "
            f"{float(whole_T.mean()):.4f} | {float(found_T.mean()):.4f} | {lost:.2%} | "
            f"{float((whole_T - found_T).max()):.3f} | {8 * k:,} |"
        )


if __name__ == "__main__":
    main()
