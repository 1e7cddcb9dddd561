"""What a recipe says about repair: which ways are tried on a model that the gate did not pass. No torch here."""

from __future__ import annotations

from pydantic import Field

from burnish.catalogue import WaySettings
from burnish.settings import Settings


class RepairSettings(Settings):
    """What is tried when the gate says BLOCK or HOLD: each of `ways`, in order; none by default.

    Each is measured on at most `prompts` development prompts of each suite, and on `task_rows` rows of the task that
    the evaluation doesn't ask. The best that holds on them goes to the gate, once.
    """

    ways: tuple[WaySettings, ...] = ()
    prompts: int = Field(default=150, ge=1)
    task_rows: int = Field(default=80, ge=1)
