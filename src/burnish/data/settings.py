"""What a recipe says about its data: which sources, in which format, and what is held out of training."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from burnish.settings import Settings

FormatName: TypeAlias = Literal[
    "messages", "prompt_completion", "alpaca", "sharegpt", "text", "preference", "kto", "prompts"
]
ColumnName: TypeAlias = Literal[
    "messages", "tools", "system", "prompt", "completion", "instruction", "input", "output", "text", "chosen",
    "rejected", "label",
]  # fmt: skip
PLACEHOLDER = re.compile(r"\{(\w+)\}")


class SourceSettings(Settings):
    """One file or set.

    `format`: found out unless given; "prompts" (rows with a prompt and no reply, for methods that write their own) is
    never guessed.

    `path`: a local path (relative to the recipe's folder), "hf:owner/name" for a Hub set, "builtin:NAME" for one that
    comes with Burnish, or "https://..." for a file that is fetched once and, with `sha256`, checked. `rows`: take this
    many, chosen by a hash of their content and the run's seed; None takes all. `columns`: the format's field name ->
    the file's own (prompt: utterance). `instruction`: text of the prompt, with {field} where a field of the row goes
    ({prompt}: the prompt as found). `heldout`: whether the held-out fraction is taken from this source too. `system`:
    system prompt for rows that have none. `replies`: whose replies are trained on, the rows' "own" or those that the
    "teacher" of train.method writes to their prompts; held-out rows keep their own.
    """

    path: str = Field(min_length=1)
    format: FormatName | Literal["auto"] = "auto"
    rows: int | None = Field(default=None, ge=1)
    columns: dict[ColumnName, str] = Field(default_factory=dict)
    instruction: str = ""
    heldout: bool = True
    system: str = ""
    replies: Literal["own", "teacher"] = "own"
    config: str = ""
    split: str = ""
    revision: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    @model_validator(mode="after")
    def _check(self) -> SourceSettings:
        for name in ("config", "split", "revision"):
            if getattr(self, name) and not self.path.startswith("hf:"):
                raise ValueError(f"{name} is for Hub sets (hf:owner/name), but path is {self.path!r}")
        if self.path.startswith("hf:") and not re.fullmatch(r"hf:[\w.-]+(/[\w.-]+)?", self.path):
            raise ValueError(f"path is {self.path!r}, expected hf:owner/name")
        if self.sha256 and not self.path.startswith("https://"):
            raise ValueError(f"sha256 is for files at an https address, but path is {self.path!r}")
        if self.instruction and not PLACEHOLDER.search(self.instruction):
            raise ValueError("instruction has no {field} in it, so that every row would have the same prompt")
        return self


def _as_sources(raw: object) -> object:
    """A path, a mapping, or a list of either, as a list of mappings."""
    items = raw if isinstance(raw, list | tuple) else [raw]
    return tuple({"path": item} if isinstance(item, str) else item for item in items)


class WritingSettings(Settings):
    """How a teacher writes. Replies that `max_new_tokens` cut off are left out, and counted. `temperature` 0 is greedy;
    `top_p` matters above that."""

    max_new_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.0, ge=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)


Sources: TypeAlias = Annotated[tuple[SourceSettings, ...], BeforeValidator(_as_sources)]


class DataSettings(Settings):
    """The data of a run. With `heldout` sources given, nothing is held out of `train`; otherwise `heldout_fraction` of
    it is, by a hash of the content. `on_bad_row`: "stop" reports all faults and ends; "skip" leaves such rows out and
    counts them. `writing`: how the teacher writes the replies of sources with `replies: teacher`."""

    train: Annotated[Sources, Field(min_length=1)]
    heldout: Sources = ()
    heldout_fraction: float = Field(default=0.1, ge=0.0, lt=1.0)
    on_bad_row: Literal["stop", "skip"] = "stop"
    writing: WritingSettings = WritingSettings()

    @property
    def teacher_writes(self) -> bool:
        """Whether a source's replies are the teacher's to write."""
        return any(source.replies == "teacher" for source in self.train)
