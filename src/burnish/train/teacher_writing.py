"""Who writes the replies of rows that are the teacher's to reply to, while data is prepared."""

from __future__ import annotations

from burnish.data.local_writer import LocalWriter
from burnish.data.served_writer import ServedWriter
from burnish.data.settings import DataSettings
from burnish.data.written import Writer
from burnish.models.settings import ModelSettings
from burnish.settings import PluginSettings
from burnish.train.teaching import teacher_of


def teacher_writer(data: DataSettings, method: PluginSettings, model: ModelSettings, seed: int) -> Writer | None:
    """The teacher, as `data.writing` has it write; None of a method without one. `model` is the recipe's.

    Raises: TrainError as `teacher_of`.
    """
    teacher = teacher_of(method, model)
    if isinstance(teacher, ModelSettings):
        return LocalWriter(teacher, data.writing, seed)
    return ServedWriter(teacher, data.writing) if teacher else None
