"""What was done to a base before an adapter was trained on it, kept beside the adapter's weights: `burnish_base.json`.

Plain PEFT files name the base and nothing more. An adapter that was trained on 4-bit weights, or on a vocabulary with
tokens added, is right only on a base that was prepared in the same way. An adapter without this file was trained on its
base as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from burnish.artefacts import Artefact
from burnish.errors import ModelError

FILE = "burnish_base.json"


class BaseForm(Artefact):
    """`quantised`: "nf4" (4-bit NormalFloat with double quantisation, all linear layers but the output head) or None.
    `add_tokens`: tokens that were added to the vocabulary, in order."""

    quantised: Literal["nf4"] | None = None
    add_tokens: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write the file, unless the base was used as it is."""
        if self != BaseForm():
            (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")


def read_base_form(folder: Path) -> BaseForm:
    """What the adapter in `folder` wants of its base.

    Raises: ModelError when its file can't be understood.
    """
    path = folder / FILE
    if not path.is_file():
        return BaseForm()
    try:
        return BaseForm.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{path}: doesn't say how the adapter's base was prepared ({error}); nothing was loaded",
            hint="bring the file back as training wrote it",
        ) from error
