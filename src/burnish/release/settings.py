"""What a recipe says about its release."""

from __future__ import annotations

from typing import Literal

from burnish.settings import Settings


class ReleaseSettings(Settings):
    """`form`: "adapter" (PEFT files), "merged" (a whole safetensors model), or "auto": whichever form training saved.
    `to`: the folder to write, relative to the recipe's; empty: `burnish run` writes no release."""

    form: Literal["auto", "adapter", "merged"] = "auto"
    to: str = ""
