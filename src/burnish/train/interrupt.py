"""Ctrl-C during training: the step in hand is finished first, so that what is saved is never half an update."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from burnish.logs import say


class Interrupt:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Take note the first time; stop at once the second time.

        Raises: KeyboardInterrupt the second time.
        """
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        say("stopping after this step, then saving a checkpoint (Ctrl-C again: stop at once, without one)")


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Take Ctrl-C for the block's length; outside the main thread, where signals can't be taken, nothing changes."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt.handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
