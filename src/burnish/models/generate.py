"""Writing replies: batched, with a key/value cache, on unmodified transformers models.

Each step is one packed row: the newest token of every running sequence, and whole the prompts that join. A sequence
that ends leaves at once and the next prompt takes its place; nothing is padded, a prompt asked twice is computed once,
so is what all prompts begin with (a system turn, worked examples), and the output head sees only the positions that a
token is taken from. Knows nothing of what the replies are for.

Axes: N sequences that get a token in this step, S tokens of the row, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, takewhile
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn
from transformers import GenerationConfig

from burnish.errors import ModelError
from burnish.models.anatomy import device_of, parts, unwrapped
from burnish.models.attention import Layout, Terms
from burnish.models.cached_layout import Arrival, CachedLayout, KeyValueCache
from burnish.models.chat_template import end_of_turn
from burnish.models.device import multiplies_in_bfloat16
from burnish.models.fused_decoder import FusedDecoder
from burnish.models.head import next_logits
from burnish.models.logprobs import fused_decoder, hidden_states, packs
from burnish.models.merged import merged
from burnish.models.sampling import draw, draws, next_tokens
from burnish.models.stepping import can_step, step
from burnish.settings import Settings

_ARRIVING_TOKENS = 4096
_WORTH_SHARING = 8
_RESERVED_REPLY = 128


class GenerationSettings(Settings):
    """How replies are written. `temperature` 0 is greedy, and then `top_p` and `seed` have no effect. `batch_size` is
    how many sequences run at once; it changes speed and memory, not what is said (up to rounding)."""

    max_new_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0
    batch_size: int = Field(default=128, ge=1)


@dataclass(frozen=True, slots=True)
class Generated:
    """One reply: `tokens` with the token that ended it, `text` without special tokens, and why it ended. `logprobs` are
    the tokens' own at temperature 1, where they were asked for and the model packs, else none."""

    tokens: tuple[int, ...]
    text: str
    finish: Literal["stop", "length"]
    logprobs: tuple[float, ...] = ()


def generate(
    model: nn.Module,
    tokenizer: Any,
    prompts: Sequence[tuple[int, ...]],
    settings: GenerationSettings,
    on_done: Callable[[int, Generated], None] | None = None,
    *,
    logprobs: bool = False,
) -> list[Generated]:
    """A reply to every prompt, in their order. `on_done` gets each prompt's number and reply as soon as it is written,
    in whatever order that is. Greedy replies to equal prompts are written once. `logprobs`: note those of the tokens.

    Raises: ModelError when a prompt is empty, or fills the model's context.
    """
    replies: dict[int, Generated] = {}
    asked = _sequences(model, prompts, settings)
    with _ready(model) as reader:
        for sequence in _write(model, reader, asked, settings, stop_tokens(model, tokenizer), logprobs):
            text = tokenizer.decode(sequence.tokens, skip_special_tokens=True)
            finish: Literal["stop", "length"] = "stop" if sequence.finish == "stop" else "length"
            reply = Generated(tuple(sequence.tokens), text, finish, tuple(sequence.logprobs))
            for number in sequence.numbers:
                replies[number] = reply
                if on_done is not None:
                    on_done(number, reply)
    return [replies[number] for number in range(len(prompts))]


def stream(model: nn.Module, tokenizer: Any, prompt: tuple[int, ...], settings: GenerationSettings) -> Iterator[str]:
    """The reply to one prompt, in pieces of whole characters as they are written.

    Raises: ModelError as `generate` does.
    """
    (sequence,) = _sequences(model, [prompt], settings)
    stop = stop_tokens(model, tokenizer)
    shown = ""
    with _ready(model) as reader:
        batch = _Batch(model, reader, settings, stop, deque([sequence])) if reader else None
        while not sequence.finish:
            if batch is None:
                _write_plainly(model, [sequence], settings, stop)
            else:
                batch.step()
            text = tokenizer.decode(sequence.tokens, skip_special_tokens=True)
            # A character of several tokens shows as a replacement character until the last of them is there.
            if (
                len(text) > len(shown)
                and text.startswith(shown)
                and not (text.endswith("\ufffd") and not sequence.finish)
            ):
                yield text[len(shown) :]
                shown = text


def stop_tokens(model: nn.Module, tokenizer: Any) -> frozenset[int]:
    """Tokens that end a reply: those that the model's generation settings name, the tokenizer's end of sequence, and
    what the chat template writes after an assistant's turn."""
    named = getattr(getattr(unwrapped(model), "generation_config", None), "eos_token_id", None)
    several = named if isinstance(named, list) else [named]
    ending = end_of_turn(tokenizer) if tokenizer.chat_template else None
    return frozenset(token for token in (*several, tokenizer.eos_token_id, ending) if token is not None)


@dataclass(eq=False)
class _Sequence:
    """A reply in the making, for the prompts of these `numbers`."""

    numbers: list[int]
    prompt: tuple[int, ...]
    limit: int
    draws: torch.Tensor | None
    tokens: list[int] = field(default_factory=list)
    finish: Literal["", "stop", "length"] = ""
    logprobs: list[float] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """How many of its tokens are in the cache: all but the newest."""
        return len(self.prompt) + len(self.tokens) - 1

    def take(self, token: int, stop: frozenset[int]) -> None:
        """Append a token, and note whether it is the last."""
        self.tokens.append(token)
        if token in stop:
            self.finish = "stop"
        elif len(self.tokens) >= self.limit:
            self.finish = "length"


def _sequences(model: nn.Module, prompts: Sequence[tuple[int, ...]], settings: GenerationSettings) -> list[_Sequence]:
    """What has to be written, long prompts first, equal ones side by side."""
    context = getattr(unwrapped(model).config.get_text_config(), "max_position_embeddings", None) or 2**31
    by_prompt: dict[tuple[int, ...], list[_Sequence]] = {}
    for number, prompt in enumerate(prompts):
        if not 0 < len(prompt) < context:
            raise ModelError(
                f"prompt {number + 1}: {len(prompt)} tokens, expected 1 to {context - 1} so that a reply fits into the "
                "model's context; nothing was generated",
                hint="shorten the prompt, or choose a model with a longer context",
            )
        known = by_prompt.setdefault(tuple(prompt), [])
        if known and settings.temperature == 0:
            known[0].numbers.append(number)
            continue
        limit = min(settings.max_new_tokens, context - len(prompt))
        own = draws(settings.seed, prompt, len(known), limit) if settings.temperature else None
        known.append(_Sequence([number], tuple(prompt), limit, own))
    ordered = sorted(by_prompt, key=lambda prompt: -len(prompt))
    return [sequence for prompt in ordered for sequence in by_prompt[prompt]]


@dataclass(frozen=True)
class _Reader:
    """The model as it stands: any row over a layout, and, where it can be had, one more token for each sequence."""

    states: Callable[[torch.Tensor, torch.Tensor, Layout], torch.Tensor]
    step: Callable[[torch.Tensor, torch.Tensor, KeyValueCache], torch.Tensor] | None


@contextmanager
def _ready(model: nn.Module) -> Iterator[_Reader | None]:
    """The model in evaluation mode until the end, with what its adapter adds; None where it can't be packed."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        found = fused_decoder(model, only_read=True) if packs(model) else None
        if found is not None and found[0].prepacked:
            yield _reader(model, found)
            return
        with merged(model):
            yield _reader(model, fused_decoder(model)) if packs(model) else None
    finally:
        for module, mode in modes:
            module.training = mode


def _reader(model: nn.Module, found: tuple[FusedDecoder, tuple[Terms, ...]] | None) -> _Reader:
    if found is None:
        return _Reader(hidden_states(model), None)
    decoder, terms = found
    return _Reader(partial(decoder.hidden, terms=terms), partial(step, decoder, terms) if can_step(*found) else None)


def _write(
    model: nn.Module,
    reader: _Reader | None,
    asked: Sequence[_Sequence],
    settings: GenerationSettings,
    stop: frozenset[int],
    logprobs: bool,
) -> Iterator[_Sequence]:
    """Each sequence when it is finished."""
    if reader is not None:
        batch = _Batch(model, reader, settings, stop, deque(asked), logprobs)
        while batch.waiting or batch.running:
            yield from batch.step()
        return
    for _, equally_long in groupby(asked, key=lambda sequence: len(sequence.prompt)):
        bucket = list(equally_long)
        for start in range(0, len(bucket), settings.batch_size):
            _write_plainly(model, bucket[start : start + settings.batch_size], settings, stop)
            yield from bucket[start : start + settings.batch_size]


class _Batch:
    """The running sequences, in the first slots of the cache, and those that wait for a slot."""

    def __init__(
        self,
        model: nn.Module,
        reader: _Reader,
        settings: GenerationSettings,
        stop: frozenset[int],
        waiting: deque[_Sequence],
        logprobs: bool = False,
    ) -> None:
        self.waiting = waiting
        self._logprobs = logprobs
        self.running: list[_Sequence] = []
        self._logits = next_logits(parts(model))
        self._reader = reader
        self._device = device_of(model)
        self._settings = settings
        self._stop = stop
        self._slots = min(settings.batch_size, len(waiting))
        held = torch.bfloat16 if multiplies_in_bfloat16() else torch.float32
        self._cache = KeyValueCache(self._slots + 1, held if reader.step else None)
        self._cache.reserve(max(len(s.prompt) + min(s.limit, _RESERVED_REPLY) for s in waiting))
        self._shared = self._read_shared([sequence.prompt for sequence in waiting])

    @torch.no_grad()
    def _read_shared(self, prompts: Sequence[tuple[int, ...]]) -> int:
        """Put what all prompts begin with into the last slot; returns of how many tokens it is."""
        # In order of tokens, the first and the last prompt differ no later than any other two.
        pairs = zip(min(prompts), max(prompts), strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        shared = min(shared, min(map(len, prompts)) - 1)
        if len(prompts) < 2 or shared < _WORTH_SHARING:
            return 0
        self._cache.reserve(shared)
        nowhere = torch.empty(0, dtype=torch.int64, device=self._device)
        layout = CachedLayout(self._cache, nowhere, (Arrival(shared, (self._slots,)),))
        self._hidden(list(prompts[0][:shared]), list(range(shared)), layout)
        return shared

    @torch.no_grad()
    def step(self) -> list[_Sequence]:
        """One more token for every running sequence, and the first for those that join. Returns the finished."""
        going_on = len(self.running)
        tokens = [sequence.tokens[-1] for sequence in self.running]
        positions = [sequence.stored for sequence in self.running]
        sources = list(range(going_on))
        positions_N = torch.tensor(positions, dtype=torch.int64, device=self._device)
        arrivals = self._admit()
        for arrival in arrivals:
            tokens.extend(self.running[arrival.slots[0]].prompt[self._shared :])
            positions.extend(range(self._shared, self._shared + arrival.length))
            sources.extend([len(tokens) - 1] * len(arrival.slots))
        self._cache.reserve(max(positions) + 1)
        hidden_SD = self._hidden(tokens, positions, CachedLayout(self._cache, positions_N, arrivals, self._shared))
        logits_NV = self._logits(hidden_SD[torch.tensor(sources, device=self._device)])
        for sequence, token in zip(self.running, self._choose(logits_NV), strict=True):
            sequence.take(token, self._stop)
        return self._retire()

    def _admit(self) -> list[Arrival]:
        """Give waiting sequences the free slots, as far as the prompts that have to be read stay within bounds."""
        arrivals: list[Arrival] = []
        total = 0
        while self.waiting and len(self.running) < self._slots:
            prompt = self.waiting[0].prompt
            length = len(prompt) - self._shared
            if arrivals and self.running[-1].prompt == prompt:
                last = arrivals.pop()
                arrivals.append(Arrival(last.length, (*last.slots, len(self.running))))
            elif arrivals and total + length > _ARRIVING_TOKENS:
                break
            else:
                arrivals.append(Arrival(length, (len(self.running),)))
                total += length
            self.running.append(self.waiting.popleft())
        return arrivals

    def _hidden(self, tokens: list[int], positions: list[int], layout: CachedLayout) -> torch.Tensor:
        tokens_S, positions_S = (torch.tensor(numbers, device=self._device) for numbers in (tokens, positions))
        if self._reader.step is not None and not layout.arrivals:
            return self._reader.step(tokens_S, positions_S, self._cache)
        return self._reader.states(tokens_S, positions_S, layout)

    def _choose(self, logits_NV: torch.Tensor) -> list[int]:
        settings = self._settings
        drawn = [s.draws[len(s.tokens)] for s in self.running if s.draws is not None]
        draws_N = torch.stack(drawn) if drawn else None
        noted_N: torch.Tensor | None = None
        if self._logprobs and draws_N is not None and settings.temperature == 1.0 and settings.top_p == 1.0:
            chosen_N, noted_N = draw(logits_NV, draws_N)
        else:
            chosen_N = next_tokens(logits_NV, settings.temperature, settings.top_p, draws_N)
            if self._logprobs:
                noted_N = logits_NV.gather(1, chosen_N[:, None])[:, 0] - logits_NV.logsumexp(-1)
        if noted_N is not None:
            for sequence, logprob in zip(self.running, noted_N.tolist(), strict=True):
                sequence.logprobs.append(logprob)
        return [int(token) for token in chosen_N.tolist()]

    def _retire(self) -> list[_Sequence]:
        """Take finished sequences out; the last running one moves into the gap, so that slots in use stay the first."""
        finished = [sequence for sequence in self.running if sequence.finish]
        for slot in reversed(range(len(self.running))):
            if self.running[slot].finish:
                last = self.running.pop()
                if slot < len(self.running):
                    self._cache.move(len(self.running), slot, last.stored)
                    self.running[slot] = last
        return finished


@torch.no_grad()
def _write_plainly(
    model: nn.Module, equally_long: Sequence[_Sequence], settings: GenerationSettings, stop: frozenset[int]
) -> None:
    """For a model that can't be packed: transformers' own generation, on prompts of one length."""
    sampled = settings.temperature > 0
    how = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=equally_long[0].limit,
        do_sample=sampled,
        temperature=settings.temperature if sampled else None,
        top_p=settings.top_p if sampled else None,
        top_k=0 if sampled else None,
        eos_token_id=sorted(stop) or None,
        pad_token_id=min(stop, default=0),
    )
    tokens = torch.tensor([sequence.prompt for sequence in equally_long], device=device_of(model))
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        rows = unwrapped(model).generate(tokens, attention_mask=torch.ones_like(tokens), generation_config=how)
    for sequence, row in zip(equally_long, rows[:, tokens.shape[1] :].tolist(), strict=True):
        for token in row:
            if not sequence.finish:
                sequence.take(token, stop)
        sequence.finish = sequence.finish or "length"
