"""Encoding by several processes at once, in the order of the records.

Every worker reads the file of prepared records itself and encodes each n-th part of it, so that nothing but results
goes through a pipe; parts are taken from the workers in turn, and a worker that is ahead waits at its full pipe.

Workers are new Python processes, not forks: a fork of a process in which torch and the progress bar have threads can
hang on a lock that one of them held. They don't come from `multiprocessing` either, which would run the user's own
script again in each of them.

    python -m burnish.train.workers        reads an order from standard input, writes parts to standard output
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from burnish.data.store import from_line_of
from burnish.errors import BurnishError, TrainError
from burnish.models.chat_template import Encoder
from burnish.train.encoding import PART, Part, encode_part
from burnish.train.method import Method


@dataclass(frozen=True)
class Order:
    """What one worker is to do: encode part `first`, `first` + `stride` and so on of the records in `path`."""

    path: Path
    left_out: frozenset[str]
    method: Method
    encoder: Encoder
    first: int
    stride: int


def encode_in_parallel(
    path: Path, left_out: frozenset[str], method: Method, encoder: Encoder, num_workers: int
) -> Iterator[Part]:
    """The parts of a file of prepared records, in their order.

    Raises: as `encode_rows` and `read_records`; TrainError when a worker ends before its work does; TypeError,
    AttributeError or PicklingError, at once, when method or tokenizer can't be sent to another process.
    """
    orders = [
        pickle.dumps(Order(path, left_out, method, encoder, number, num_workers)) for number in range(num_workers)
    ]
    return _parts(orders)


def _parts(orders: list[bytes]) -> Iterator[Part]:
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(order)) for order in orders]
        while True:
            for worker in workers:
                part = _next(worker)
                if part is None:
                    return
                yield part


@contextmanager
def _worker(order: bytes) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        # One process a core: threads of their own would only get in each other's way.
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with tempfile.TemporaryFile() as file:
        file.write(order)
        file.seek(0)
        worker = subprocess.Popen(
            [sys.executable, "-m", "burnish.train.workers"], stdin=file, stdout=subprocess.PIPE, env=environment
        )
    assert worker.stdout is not None
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()


def _next(worker: subprocess.Popen[bytes]) -> Part | None:
    """A worker's next part; None when there is none left."""
    assert worker.stdout is not None
    try:
        found: Part | Exception | None = pickle.load(worker.stdout)
    except (EOFError, pickle.UnpicklingError) as error:
        raise _ended(worker) from error
    if isinstance(found, Exception):
        raise found
    return found


def _ended(worker: subprocess.Popen[bytes]) -> TrainError:
    code = worker.wait()
    return TrainError(
        f"encoding rows: a worker process ended with code {code} before its work was done; nothing was trained",
        hint="look at what it printed above; killed by the system (-9) means that memory ran out",
    )


def _work(order: Order, out: IO[bytes]) -> None:
    """Write every part that is this worker's, then None; an error in place of the part that it arose in."""
    try:
        with order.path.open(encoding="utf-8", newline="\n") as file:
            number = 0
            while lines := list(islice(file, PART)):
                if number % order.stride == order.first:
                    records = [from_line_of(order.path, number * PART + at, line) for at, line in enumerate(lines, 1)]
                    part = encode_part(records, number, order.left_out, order.method, order.encoder)
                    _send(part, out)
                number += 1
        _send(None, out)
    except BurnishError as error:
        _send(error, out)


def _send(value: Part | BurnishError | None, out: IO[bytes]) -> None:
    pickle.dump(value, out, protocol=pickle.HIGHEST_PROTOCOL)
    out.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that the user started; it ends this one
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get among the results
    # Classes that were pickled are those of the module by its name, not of this module run as a script.
    from burnish.train import workers

    workers._work(pickle.load(sys.stdin.buffer), results)
