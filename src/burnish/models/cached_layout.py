"""Attention for generation: every sequence's keys and values in a slot of its own, written in place.

One row of tokens holds the newest token of each running sequence, then the prompts that join in this step: unpadded,
and once only where several sequences share one. A beginning that all prompts share is computed once and kept in the
last slot; prompts join without it. Slots in use are always the first ones. Knows nothing of sampling, of stopping or of
text.

Axes: B slots, N running sequences, S tokens of the row, H heads, D head size, L places of a slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import torch

from burnish.models.attention import PackedLayout, Terms, attention
from burnish.models.kernels.attention import Table, alone, attend, can_attend
from burnish.models.kernels.newest import attend_newest

_GROWTH = 64


class KeyValueCache:
    """Keys and values of every layer, (B, H, L, D) each, allocated when a layer first writes and grown as need be. With
    a `dtype` the kernels alone will read them, which read no more than was written; without, they are as they come."""

    def __init__(self, slots: int, dtype: torch.dtype | None = None) -> None:
        self._slots = slots
        self._dtype = dtype
        self._places = 0
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def reserve(self, places: int) -> None:
        """Make room for sequences of so many tokens."""
        if places <= self._places:
            return
        self._places = -(-max(places, self._places + self._places // 4) // _GROWTH) * _GROWTH
        for number, pair in self._layers.items():
            grown = tuple(self._room(old) for old in pair)
            for new, old in zip(grown, pair, strict=True):
                new[:, :, : old.shape[2]] = old
            self._layers[number] = (grown[0], grown[1])

    def layer(self, number: int, key_BHSD: torch.Tensor, value_BHSD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The layer's keys and values, to be read and written in place."""
        if number not in self._layers:
            self._layers[number] = (self._room(key_BHSD), self._room(value_BHSD))
        return self._layers[number]

    def written(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of a layer that has written before."""
        return self._layers[number]

    def _room(self, like_BHSD: torch.Tensor) -> torch.Tensor:
        shape = (self._slots, like_BHSD.shape[1], self._places, like_BHSD.shape[3])
        if self._dtype is not None:
            return like_BHSD.new_empty(shape, dtype=self._dtype)
        # Zeros, since a masked place that holds NaN would still spoil the sums.
        return like_BHSD.new_zeros(shape)

    def move(self, source: int, to: int, length: int) -> None:
        """Copy the first `length` places of a slot to another."""
        for keys, values in self._layers.values():
            keys[to, :, :length] = keys[source, :, :length]
            values[to, :, :length] = values[source, :, :length]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A prompt that joins with `length` tokens of its own, for each of the `slots` that begin with it."""

    length: int
    slots: tuple[int, ...]


@dataclass(frozen=True)
class CachedLayout:
    """One step. `positions_N` says where the newest token of each running sequence goes in its slot; `shared` is how
    many tokens of the last slot every arrival begins with. Made anew for each step: it keeps the masks that its layers
    share."""

    cache: KeyValueCache
    positions_N: torch.Tensor
    arrivals: Sequence[Arrival] = ()
    shared: int = 0
    _packed: PackedLayout = field(default_factory=lambda: PackedLayout(()))
    _masks: dict[int | None, torch.Tensor] = field(default_factory=dict)
    _longest: list[int] = field(default_factory=list)

    def attend(self, query_BHSD: torch.Tensor, key: torch.Tensor, value: torch.Tensor, terms: Terms) -> torch.Tensor:
        """Write the row's keys and values to the cache; the attention's output, (1, S, H, D)."""
        keys, values = self.cache.layer(terms.layer, key, value)
        running = len(self.positions_N)
        outputs = []
        if running:
            newest, own_key, own_value = (each[0, :, :running].transpose(0, 1) for each in (query_BHSD, key, value))
            outputs.append(self._run_on(newest, own_key, own_value, keys, values, terms))
        if self.arrivals and terms.softcap is None and can_attend(query_BHSD[0, :, running:], value):
            arriving, own_keys, own_values = (each[0, :, running:].transpose(0, 1) for each in (query_BHSD, key, value))
            outputs.append(self._join_all(arriving, own_keys, own_values, keys, values, terms)[None])
            return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
        start = running
        for arrival in self.arrivals:
            own = slice(start, start + arrival.length)
            joined = self._join(arrival, query_BHSD[:, :, own], key[:, :, own], value[:, :, own], keys, values, terms)
            outputs.append(joined.transpose(1, 2))
            start += arrival.length
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)

    def _run_on(
        self,
        query_NHP: torch.Tensor,
        key_NGP: torch.Tensor,
        value_NGP: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        terms: Terms,
    ) -> torch.Tensor:
        """Attention of the newest tokens over their slots, (1, N, H, D)."""
        if terms.softcap is None and can_attend(query_NHP, value_NGP):
            heads_NA = torch.cat((query_NHP, key_NGP, value_NGP), dim=1).flatten(1).to(keys.dtype)
            out_NA = heads_NA.new_empty(len(query_NHP), query_NHP[0].numel())
            scale = terms.scaling if terms.scaling is not None else query_NHP.shape[-1] ** -0.5
            attend_newest(heads_NA, None, None, keys, values, self._lengths, terms.window, scale, out_NA)
            return out_NA.view_as(query_NHP).to(query_NHP.dtype)[None]
        rows = torch.arange(len(query_NHP), device=keys.device)
        keys[rows, :, self.positions_N] = key_NGP
        values[rows, :, self.positions_N] = value_NGP
        mask = self._mask(terms.window)
        running, longest = mask.shape[0], mask.shape[-1]
        # The query heads that share a key head are laid side by side as if they were queries of one head.
        grouped = query_NHP.reshape(running, keys.shape[1], -1, query_NHP.shape[2])
        output = attention(grouped, keys[:running, :, :longest], values[:running, :, :longest], terms, mask)
        return output.reshape(1, running, query_NHP.shape[1], values.shape[3])

    @cached_property
    def _lengths(self) -> torch.Tensor:
        return self.positions_N + 1

    def _mask(self, window: int | None) -> torch.Tensor:
        """True where a sequence's newest token may look, (N, 1, 1, L)."""
        if window not in self._masks:
            if not self._longest:
                self._longest.append(int(self.positions_N.max()) + 1)
            ages = self.positions_N[:, None] - torch.arange(self._longest[0], device=self.positions_N.device)
            seen = ages >= 0 if window is None else (ages >= 0) & (ages < window)
            self._masks[window] = seen[:, None, None]
        return self._masks[window]

    def _join_all(
        self,
        query_SHP: torch.Tensor,
        key_SGP: torch.Tensor,
        value_SGP: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        terms: Terms,
    ) -> torch.Tensor:
        """Attention of all arrivals' own tokens by the kernels, (S, H, P). What they share stands before them in one
        row; of its queries nothing is computed."""
        shared = self.shared
        room = query_SHP.new_empty(shared, *query_SHP.shape[1:])
        row = [torch.cat((room, query_SHP))]
        for cached, own in ((keys, key_SGP), (values, value_SGP)):
            row.append(torch.cat((cached[-1, :, :shared].transpose(0, 1), own)))
            start = shared
            for arrival in self.arrivals:
                for slot in arrival.slots:
                    cached[slot, :, :shared] = cached[-1, :, :shared]
                    cached[slot, :, shared : shared + arrival.length] = row[-1][
                        start : start + arrival.length
                    ].transpose(0, 1)
                start += arrival.length
        scale = terms.scaling if terms.scaling is not None else query_SHP.shape[-1] ** -0.5
        return attend(row[0], row[1], row[2], self._table, terms.window, scale)[0][shared:]

    @cached_property
    def _table(self) -> Table:
        starts = accumulate((arrival.length for arrival in self.arrivals), initial=self.shared)
        return alone([(0, self.shared, start, each.length) for start, each in zip(starts, self.arrivals, strict=False)])

    def _join(
        self,
        arrival: Arrival,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        terms: Terms,
    ) -> torch.Tensor:
        """Attention of one arrival's own tokens over what it shares and itself, (1, H, Q, D)."""
        if self.shared:
            key = torch.cat((keys[-1:, :, : self.shared], key), dim=2)
            value = torch.cat((values[-1:, :, : self.shared], value), dim=2)
        for slot in arrival.slots:
            keys[slot, :, : key.shape[2]] = key[0]
            values[slot, :, : key.shape[2]] = value[0]
        return self._packed.segment(query, key, value, terms)
