"""The error tree: every failure that a user can fix, said in one form.

A message says where, what was got, what was expected and with what consequence; a hint says what to do. Faces print
these without a traceback and exit with code 1; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations


class BurnishError(Exception):
    """A failure that the user can fix.

    `message` reads "where: got ..., expected ...; consequence"; `hint` is one imperative sentence, or empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class RecipeError(BurnishError):
    """A recipe that can't be used; all its faults are in one message, a line each."""


class DataError(BurnishError):
    """A dataset that can't be read, or whose rows can't be understood."""


class ModelError(BurnishError):
    """A model that can't be found, is unsafe to load, or doesn't fit the task."""


class AuditError(BurnishError):
    """Findings that the recipe says must stop the run."""


class TrainError(BurnishError):
    """Training that can't start, or can't go on."""


class EvaluationError(BurnishError):
    """An evaluation that can't be carried out."""


class GateRefusal(BurnishError):  # noqa: N818 - the gate refuses; nothing erred
    """A decision that stands in the way of what was asked (release, merge, export)."""


class LabelError(BurnishError):
    """Pairs or labels that can't be read, kept or exported."""


class ReleaseError(BurnishError):
    """A release that can't be written, or that doesn't verify."""


class RunFolderError(BurnishError):
    """A run folder that is missing, in use, or doesn't belong to this recipe."""
