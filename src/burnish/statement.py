"""What a release says of itself: an in-toto statement in `burnish-release.json`, whose subjects are all other files of
the release and whose predicate names what the model was made of, how it was measured, and what was decided.

Lies on the ground, so that whatever meets a release (a chain of tuned models, a loader) reads it here. Reading it
checks its form alone: `burnish.release.verify` says whether it is true.

Source: in-toto Attestation Framework, Statement v1 (https://github.com/in-toto/attestation/tree/main/spec/v1).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, ValidationError

from burnish.artefacts import Artefact, ModelIdentity, Outcome, SuiteKind
from burnish.errors import ReleaseError
from burnish.strict_json import strict_json

STATEMENT = "burnish-release.json"
SIGNATURE = "burnish-release.sig"
TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:burnish:release:v1"
Form: TypeAlias = Literal["adapter", "merged"]
Signing: TypeAlias = Literal["none", "key", "keyless"]


class Sha256(Artefact):
    """A digest as in-toto writes it: by the name of its algorithm."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Subject(Artefact):
    """One file of the release, by its path in it."""

    name: str
    digest: Sha256


class SuiteProof(Artefact):
    """One suite as it was asked. `digest` is over its prompts' texts, and can be made again from the suite alone;
    `asked` over the ids, families, categories and text digests in the release's verdicts."""

    name: str
    kind: SuiteKind
    prompts: int
    digest: str
    asked: str


class Waiver(Artefact):
    """A person let the model out against the verdict. `decision` is the digest of the decision that was waived."""

    reason: str = Field(min_length=1, max_length=2000)
    by: str = Field(min_length=1, max_length=200)
    verdict: Literal["HOLD", "BLOCK"]
    decision: str


class Predicate(Artefact):
    """What a release rests on, by digest (SHA-256, hex). All of it but `signing` and `burnish_version` follows from
    the files of the release.

    `tuned` are the tuned weights as they were measured, made up of the files `weights` (name: digest) and, for an
    adapter, of `base`. `data`, `calibration` and `flops` are None where the run has none or it isn't known;
    `settings` are the gate's; `decision` is the digest of evidence/decision.json, whose number in its run is `attempt`.
    """

    burnish_version: str
    form: Form
    signing: Signing
    base: ModelIdentity
    tuned: str
    weights: dict[str, str]
    data: str | None
    recipe: str
    settings: str
    suites: tuple[SuiteProof, ...]
    judge: str
    judge_digest: str
    calibration: str | None
    verdicts: str
    verdict: Outcome
    decision: str
    attempt: int
    waiver: Waiver | None
    flops: float | None


class Statement(Artefact):
    """The whole file. There is one text for each content, so that a digest of the file names the release."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    type: Literal["https://in-toto.io/Statement/v1"] = Field(default=TYPE, alias="_type")
    subject: tuple[Subject, ...]
    predicate_type: Literal["urn:burnish:release:v1"] = Field(default=PREDICATE_TYPE, alias="predicateType")
    predicate: Predicate

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 (hex) of each file by path."""
        return {subject.name: subject.digest.sha256 for subject in self.subject}

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the statement's own text: the name of the release as a whole."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """The file's text."""
        value = self.model_dump(mode="json", by_alias=True)
        return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def subjects(files: dict[str, str]) -> tuple[Subject, ...]:
    """Files by path as subjects, sorted."""
    return tuple(Subject(name=name, digest=Sha256(sha256=files[name])) for name in sorted(files))


def is_release(folder: Path) -> bool:
    """Whether the folder says that it is a release."""
    return (folder / STATEMENT).is_file()


def read_statement(folder: Path) -> Statement:
    """The statement of the release in `folder`. Its form is checked, not its truth.

    Raises: ReleaseError when there is none, it is a link, or it isn't such a statement in its one form.
    """
    path = folder / STATEMENT
    if path.is_symlink():
        raise ReleaseError(f"{path}: is a link, expected a file of the release's own")
    if not path.is_file():
        raise ReleaseError(
            f"{folder}: holds no {STATEMENT}, so it isn't a release; nothing was read",
            hint="give the folder that burnish release wrote",
        )
    try:
        data = path.read_bytes()
        statement = Statement.model_validate(strict_json(data))
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        raise ReleaseError(f"{path}: can't be read, so nothing else was ({_first_line(error)})") from error
    names = [subject.name for subject in statement.subject]
    if len(set(names)) != len(names):
        raise ReleaseError(f"{path}: can't be read, so nothing else was (a file is listed twice)")
    if statement.to_text().encode() != data:
        raise ReleaseError(f"{path}: was changed: its text isn't the one that its content has")
    return statement


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
