"""What a recipe says about its release."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from burnish.models.settings import DRIFT_TOLERANCE
from burnish.settings import Settings


class ReleaseSettings(Settings):
    """`form`: "adapter" (PEFT files), "merged" (a whole safetensors model), or "auto": whichever form training saved.
    `to`: the folder to write, relative to the recipe's; empty: `burnish run` writes no release. `drift_tolerance`: how
    far merging may move the model's replies, as the mean divergence (nats) of its next-token distribution; rounding to
    bfloat16 costs a hundredth of the default or less, another base than the adapter was trained on ten times as much.

    `signing`: "none", "key" (the private key in the PEM file `key`, relative to the recipe's folder, on the curve
    P-256, P-384 or P-521), or "keyless" (an identity that Sigstore attests, which needs the network and a login). The
    last two need the extra `sign`.
    """

    form: Literal["auto", "adapter", "merged"] = "auto"
    to: str = ""
    drift_tolerance: float = Field(default=DRIFT_TOLERANCE, gt=0.0)
    signing: Literal["none", "key", "keyless"] = "none"
    key: str = ""

    @model_validator(mode="after")
    def _key_where_it_signs(self) -> ReleaseSettings:
        if (self.signing == "key") != bool(self.key):
            raise ValueError("signing: key and the path of a key go together; expected both or neither")
        return self
