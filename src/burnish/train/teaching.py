"""Who the teacher of a run is, if it has one, and the teacher in memory where the method asks it while it trains."""

from __future__ import annotations

from urllib.parse import urlsplit

from burnish.artefacts import ModelIdentity
from burnish.errors import TrainError
from burnish.models.load import LoadedModel, identify, load_model
from burnish.models.settings import ModelSettings
from burnish.records import content_digest
from burnish.run_folder import RunFolder
from burnish.settings import PluginSettings
from burnish.train.known_targets import KnownTargets
from burnish.train.methods.distill import Distill, DistillSettings, ServedTeacherSettings
from burnish.train.teacher import Teacher, common_vocabulary

TEACHER = "train/teacher.safetensors"


def teacher_of(method: PluginSettings, model: ModelSettings) -> ModelSettings | ServedTeacherSettings | None:
    """The teacher of a method that has one, else None; `model` is the recipe's.

    Raises: TrainError when the method needs a teacher and none is named.
    """
    if not isinstance(method, DistillSettings):
        return None
    if method.teacher is None and model.layers is None:
        raise TrainError(
            "train.method: distill: teacher is missing, expected a model to learn from; nothing was trained",
            hint="name it, or set model.layers, so that the student is the model with so many of its layers and the "
            "teacher the model itself",
        )
    return method.teacher or model.whole()


def teacher_identity(method: PluginSettings, model: ModelSettings) -> ModelIdentity | None:
    """Which weights the teacher is; nobody knows those of one behind a server, which has no digest and no path.

    Raises: TrainError as `teacher_of`; ModelError when there is no such model.
    """
    teacher = teacher_of(method, model)
    if isinstance(teacher, ServedTeacherSettings):
        return ModelIdentity(name=f"{teacher.model} at {urlsplit(teacher.url).hostname}", path="", digest="")
    return identify(teacher) if teacher else None


def load_teacher(
    method: Distill, model: ModelSettings, student: LoadedModel, token_budget: int, run: RunFolder
) -> Teacher:
    """The teacher in memory, beside the student; `model` is the recipe's.

    Raises: TrainError when their tokenisers differ, or none is named; ModelError when it can't be loaded.
    """
    settings = teacher_of(method.settings, model)
    assert isinstance(settings, ModelSettings), "a method that asks its teacher while it trains has its weights"
    loaded = load_model(settings)
    vocabulary = common_vocabulary(loaded, student)
    if method.top is None:
        return Teacher(loaded, vocabulary, token_budget)
    key = content_digest(
        loaded.identity.digest, str(loaded.dtype), student.products, loaded.device.type, vocabulary,
        method.top.tokens, method.top.temperature,
    )  # fmt: skip
    return Teacher(loaded, vocabulary, token_budget, method.top, KnownTargets(run.file(TEACHER), key, "teacher"))
