"""What a model whose weights stand still says of groups' targets: each computed once and kept on disk.

So are the log-probabilities of the reference (the model before training) and of a teacher. Groups are known by a digest
of their content, so that a row that is seen in several epochs is computed once, and a resumed run finds what the run
before it computed. One file of 4 bytes a number.

Axes: T targets, N groups.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from burnish.errors import TrainError
from burnish.logs import Bar, progress, say, warn
from burnish.models.groups import PromptGroup
from burnish.run_folder import written_whole

CHUNK = 256  # groups that are packed together; a whole number of chunks is on disk until the last, so that a resumed
# run packs the rest as an uninterrupted one does
_SAVE_EVERY_SECONDS = 60.0
_DIGEST_BYTES = 16


class KnownTargets:
    """The known numbers, in `path`, one or as many for each target; `key` digests the weights and the arithmetic that
    they come from. A file of another key is left aside and written over. `whose` numbers they are is told."""

    def __init__(self, path: Path, key: str, whose: str = "reference") -> None:
        self._path = path
        self._key = key
        self._whose = whose
        self._places: dict[bytes, tuple[int, int]] = {}
        self._pieces: list[torch.Tensor] = []
        self._whole_T = torch.empty(0)
        self._saved_at = time.monotonic()
        self._changed = False
        if path.exists():
            self._load()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._places

    def lacks(self, groups: Sequence[PromptGroup]) -> bool:
        """Whether one of them isn't known."""
        return any(self.digest(group) not in self._places for group in groups)

    def of(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        """Their targets' numbers laid end to end, (T, ...) fp32. Raises: KeyError when one isn't known."""
        whole_T = self._joined()
        if not groups:
            return torch.empty(0)
        return torch.cat([whole_T[slice(*self._places[self.digest(group)])] for group in groups])

    def learn(
        self, groups: Iterable[PromptGroup], total: int, compute: Callable[[Sequence[PromptGroup], Bar], torch.Tensor]
    ) -> None:
        """Have the numbers of `groups` (about `total`) computed, each group's once, and kept on disk. `compute` gives
        those of some groups laid end to end, and moves the bar on. Chunks are the same whether or not a run before this
        one had done some of them.

        Raises: TrainError as `save` does.
        """
        chunk: dict[bytes, PromptGroup] = {}
        computed = 0
        with progress(f"{self._whose.capitalize()} (groups)", total) as bar:
            for group in groups:
                digest = self.digest(group)
                if digest in self or digest in chunk:
                    bar.advance()
                    continue
                chunk[digest] = group
                computed += 1
                if len(chunk) == CHUNK:
                    self._compute(chunk, compute, bar)
                    chunk = {}
            if chunk:
                self._compute(chunk, compute, bar)
        self.save()
        if not computed:
            say(f"the {self._whose}'s log-probabilities were computed before and are used again")

    def _compute(
        self,
        chunk: dict[bytes, PromptGroup],
        compute: Callable[[Sequence[PromptGroup], Bar], torch.Tensor],
        bar: Bar,
    ) -> None:
        groups = list(chunk.values())
        self.add(list(chunk), [group.num_targets for group in groups], compute(groups, bar))

    def add(self, digests: Sequence[bytes], lengths: Sequence[int], numbers_T: torch.Tensor) -> None:
        """Learn some more: `numbers_T` of groups with these digests and numbers of targets, laid end to end. Now and
        then everything is saved."""
        start = self._end()
        for digest, length in zip(digests, lengths, strict=True):
            self._places[digest] = (start, start + length)
            start += length
        self._pieces.append(numbers_T)
        self._changed = True
        if time.monotonic() - self._saved_at > _SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the file whole, if there is anything new.

        Raises: TrainError when the disk is full or can't be written.
        """
        if not self._changed:
            return
        lengths = [stop - start for start, stop in self._places.values()]
        tensors = {
            "numbers": self._joined(),
            "lengths": torch.tensor(lengths, dtype=torch.int64),
            "digests": torch.frombuffer(bytearray(b"".join(self._places)), dtype=torch.uint8),
        }
        try:
            with written_whole(self._path) as temporary:
                save_file(tensors, temporary, {"key": self._key})
        except (OSError, SafetensorError) as error:
            raise TrainError(
                f"{self._path}: can't be written ({error}); nothing was trained", hint="free some space and run again"
            ) from error
        self._saved_at, self._changed = time.monotonic(), False

    @staticmethod
    def digest(group: PromptGroup) -> bytes:
        """What a group is known by: its tokens and weights."""
        found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        found.update(json.dumps([len(group.prompt), *(len(c.tokens) for c in group.completions)]).encode())
        found.update(array("i", group.prompt).tobytes())
        for completion in group.completions:
            found.update(array("i", completion.tokens).tobytes())
            found.update(array("f", completion.weights).tobytes())
        return found.digest()

    def _joined(self) -> torch.Tensor:
        if self._pieces:
            self._whole_T = torch.cat([self._whole_T, *self._pieces])
            self._pieces = []
        return self._whole_T

    def _end(self) -> int:
        return len(self._whole_T) + sum(map(len, self._pieces))

    def _load(self) -> None:
        try:
            with safe_open(self._path, "pt") as file:
                if (file.metadata() or {}).get("key") != self._key:
                    return
                digests = bytes(file.get_tensor("digests").tolist())
                lengths = file.get_tensor("lengths").tolist()
                self._whole_T = file.get_tensor("numbers")
        except (OSError, SafetensorError) as error:
            warn(f"{self._path}: can't be read ({error}); the {self._whose}'s numbers are computed again")
            return
        start = 0
        for number, length in enumerate(lengths):
            self._places[digests[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES]] = (start, start + length)
            start += length
