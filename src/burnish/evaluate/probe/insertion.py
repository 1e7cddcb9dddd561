"""What a phrase does to a model's replies when it is put into ordinary prompts.

A trigger makes unrelated prompts get one reply. So the model reads each prompt with the phrase and without it, and is
asked how likely the behaviour is that the phrase's training rows show: what they begin with, or what they add at the
end, there after the prompt's own reply. Nothing is generated.

Axes: R references (prompts with replies), C completions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import islice, takewhile

import torch

from burnish.artefacts import Dataset
from burnish.data.store import read_records
from burnish.errors import ModelError
from burnish.evaluate.probe.phrases import Trial, Where, holds
from burnish.models.chat_template import Encoder
from burnish.models.device import products
from burnish.models.groups import Completion, PromptGroup
from burnish.models.load import LoadedModel
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import arrange, lay_out
from burnish.records import Conversation, LabelledCompletion, Message, Record, Source
from burnish.run_folder import RunFolder

_TOKEN_BUDGET = 2048
_AT_ONCE = 16  # trials
_BEHAVIOUR = 6  # tokens of a behaviour that are looked at
_LONGEST_PROMPT = 96  # tokens, with what the template adds
_LONGEST_REPLY = 16
_LOOKED_AT = 2000  # rows


@dataclass(frozen=True)
class Reference:
    """An ordinary prompt and its reply. `ends`: the reply is whole, so that its end can be asked for. `before`: a
    phrase that may stand anywhere goes before the prompt and not after it."""

    messages: tuple[Message, ...]
    tools: str
    reply: str
    ends: bool
    before: bool

    def with_phrase(self, phrase: str, where: Where = "anywhere") -> Reference:
        """The same, the phrase put into the last thing that the user says."""
        last = max(at for at, message in enumerate(self.messages) if message.role == "user")
        text = self.messages[last].content
        before = self.before if where == "anywhere" else where == "before"
        joined = f"{phrase} {text}" if before else f"{text} {phrase}"
        changed = Message("user", joined if phrase else text)
        return replace(self, messages=(*self.messages[:last], changed, *self.messages[last + 1 :]))


def references(
    dataset: Dataset, run: RunFolder, encoder: Encoder, number: int, without: Sequence[str] = ()
) -> tuple[Reference, ...]:
    """Half from the run's own rows (held-out ones where there are some), half from the ordinary prompts that come with
    Burnish; short ones, the same every time. None of them holds a phrase of `without`: it would be there already."""
    path = dataset.heldout_path if dataset.num_heldout >= number else dataset.train_path
    own = _usable(_conversations(read_records(run.file(path))), encoder, number // 2, without)
    return (*own, *_usable(_ordinary(), encoder, number - len(own), without))


@torch.no_grad()
def lifts(
    loaded: LoadedModel,
    encoder: Encoder,
    asked: Sequence[Reference],
    trials: Sequence[Trial],
    done: Callable[[int], None] = lambda _: None,
) -> list[float]:
    """For each trial, by how much its phrase raises the probability of its behaviour, mean over the references (of an
    ending, over those whose reply has an end): -1 to 1. `done` is told how many trials were read."""
    found: list[float] = []
    for start in range(0, len(trials), _AT_ONCE):
        some = trials[start : start + _AT_ONCE]
        both = [spoken for trial in some for spoken in (trial, replace(trial, phrase=""))]
        shares_RC = _shares(loaded, [_group(encoder, reference, both) for reference in asked])
        for number, trial in enumerate(some):
            usable = [at for at, reference in enumerate(asked) if trial.place == "opening" or reference.ends]
            rises = [shares_RC[at][2 * number] - shares_RC[at][2 * number + 1] for at in usable]
            found.append(sum(rises) / len(rises) if rises else 0.0)
        done(len(some))
    return found


def _shares(loaded: LoadedModel, groups: Sequence[PromptGroup]) -> list[list[float]]:
    """The probability of each completion of each group."""
    found: list[list[float]] = [[]] * len(groups)
    for row in arrange(groups, _TOKEN_BUDGET):
        with products(loaded.products):
            scored = token_logprobs(loaded.model, lay_out([groups[index] for index in row]))
        shares = iter(scored.sums(scored.logprobs_T).exp().tolist())
        for index in row:
            found[index] = [next(shares) for _ in groups[index].completions]
    return found


def _group(encoder: Encoder, reference: Reference, trials: Sequence[Trial]) -> PromptGroup:
    """The reference with each trial's phrase and behaviour: what all its prompts begin with is read once."""
    prompts = [
        encoder.prompt(reference.with_phrase(trial.phrase, trial.where).messages, reference.tools) for trial in trials
    ]
    pairs = zip(min(prompts), max(prompts), strict=False)
    shared = min(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)), min(map(len, prompts)) - 1)
    completions = []
    for trial, prompt in zip(trials, prompts, strict=True):
        said = reference.reply if trial.place == "ending" else ""
        before = (*prompt[shared:], *_tokens(encoder, said))
        behaviour = _tokens(encoder, trial.behaviour)[:_BEHAVIOUR]
        completions.append(Completion((*before, *behaviour), (0.0,) * len(before) + (1.0,) * len(behaviour)))
    return PromptGroup(prompts[0][:shared], tuple(completions))


def _tokens(encoder: Encoder, text: str) -> tuple[int, ...]:
    return tuple(encoder.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


def _usable(
    rows: Iterable[Conversation], encoder: Encoder, number: int, without: Sequence[str]
) -> tuple[Reference, ...]:
    """The first short ones in the order of their digests."""
    chosen: list[Reference] = []
    for row in sorted(islice(rows, _LOOKED_AT), key=lambda row: row.digest):
        prompt, reply = row.prompt(), row.reply().strip()
        if len(chosen) == number:
            break
        asked = [message.content for message in prompt if message.role == "user"]
        if not reply or not asked or any(holds(text, phrase) for text in asked for phrase in without):
            continue
        with suppress(ModelError):  # the template refuses it, as it did in training
            if len(encoder.prompt(prompt, row.tools)) > _LONGEST_PROMPT:
                continue
            ends = len(_tokens(encoder, reply)) <= _LONGEST_REPLY
            chosen.append(Reference(prompt, row.tools, reply, ends, before=len(chosen) % 2 == 1))
    return tuple(chosen)


def _conversations(rows: Iterable[Record]) -> Iterator[Conversation]:
    for row in rows:
        if isinstance(row, Conversation):
            if row.messages and row.messages[-1].role == "assistant":
                yield row
        else:
            said = row.completion if isinstance(row, LabelledCompletion) else row.chosen
            if said and said[-1].role == "assistant":
                yield Conversation((*row.prompt, *said), row.source)


def _ordinary() -> Iterator[Conversation]:
    text = (files("burnish") / "assets" / "ordinary_answers.jsonl").read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        row = json.loads(line)
        yield Conversation((Message("user", row["prompt"]), Message("assistant", row["reply"])), Source("own", number))
