"""Which model a recipe starts from. Import-light: no torch, no Hub client."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field, StrictBool, field_validator, model_validator

from burnish.settings import Settings

DEFAULT_MODEL = "smollm2-135m-instruct"
DRIFT_TOLERANCE = 0.01
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
Products: TypeAlias = Literal["auto", "float32", "bfloat16"]
_DEVICE = re.compile(r"^(auto|cpu|mps|xpu|cuda)(:\d+)?$")


class ModelSettings(Settings):
    """A model by `name`: a built-in name, a local folder (a model's or a PEFT adapter's) or a Hub id.

    `add_tokens` are texts that become tokens of their own, such as "<tool>": added to the vocabulary where it lacks
    them, and trained with the adapter.

    `layers` makes a smaller model of it: that many of its layers, evenly spaced, the first and the last among them,
    which is a student to start from and not yet a model to talk to.

    A recipe may give the name alone. `revision` is a branch, tag or commit and matters for Hub ids only.
    `dtype` is the type that weights are held in; `products` the precision in which a CPU multiplies float32 ones.
    `allow_pickle` and `trust_remote_code` let a model's files run code on this machine; they take nothing but a
    literal `true`.
    """

    name: str = Field(default=DEFAULT_MODEL, min_length=1, max_length=4096)
    revision: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$")
    dtype: Dtype = "auto"
    products: Products = "auto"
    device: str = "auto"
    add_tokens: tuple[str, ...] = ()
    layers: int | None = Field(default=None, ge=2)
    allow_pickle: StrictBool = False
    trust_remote_code: StrictBool = False

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, raw: Any) -> Any:
        return {"name": raw} if isinstance(raw, str) else raw

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("holds control characters; expected a built-in name, a folder or a Hub id")
        return name

    @field_validator("add_tokens")
    @classmethod
    def _plain_tokens(cls, tokens: tuple[str, ...]) -> tuple[str, ...]:
        for token in tokens:
            if not token.strip() or not token.isprintable() or len(token) > 100:
                raise ValueError(f"got {token!r}, expected printable text of at most 100 characters")
        if len(set(tokens)) != len(tokens):
            raise ValueError("a token stands twice, expected each once")
        return tokens

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if not _DEVICE.match(device) or device.startswith("auto:"):
            raise ValueError(f"got {device!r}, expected auto, cpu, cuda, cuda:N, mps or xpu")
        return device

    def made_into(self, folder: Path) -> ModelSettings:
        """The same settings for a model that was made of this one, in `folder`, where its vocabulary is complete."""
        return self.model_copy(update={"name": str(folder), "revision": "main", "add_tokens": (), "layers": None})

    def whole(self) -> ModelSettings:
        """The same model with all of its layers, and its own vocabulary."""
        return self.model_copy(update={"layers": None, "add_tokens": ()})
