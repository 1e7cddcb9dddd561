"""What a signer has, and what somebody can do who changes a release and covers it up with Burnish itself, but without
the signer's key."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from burnish.models.load import identify
from burnish.models.settings import ModelSettings
from burnish.release.contents import listed_files
from burnish.release.proof import predicate_of, read_proof
from burnish.statement import STATEMENT, Predicate, Statement, subjects


def read(folder: Path) -> Statement:
    """The statement as it lies there, its truth unchecked."""
    return Statement.model_validate_json((folder / STATEMENT).read_bytes())


def write(folder: Path, statement: Statement) -> None:
    """Put a statement in place of the one there."""
    (folder / STATEMENT).write_text(statement.to_text(), encoding="utf-8")


def list_anew(folder: Path, **changes: object) -> None:
    """List the files as they are now, and say the same of them, `changes` aside."""
    said = read(folder).predicate.model_copy(update=changes)
    write(folder, Statement(subject=subjects(listed_files(folder)), predicate=said))


def say_anew(folder: Path) -> None:
    """List the files as they are now, and say of them what follows from the evidence as it is now."""
    said = read(folder).predicate
    weights = {name: listed_files(folder).get(name, digest) for name, digest in said.weights.items()}
    found: Predicate = predicate_of(read_proof(folder), said.form, said.signing, weights)
    write(folder, Statement(subject=subjects(listed_files(folder)), predicate=found))


@dataclass(frozen=True)
class Keys:
    """A pair of PEM files."""

    private: Path
    public: Path


def make_keys(folder: Path, password: bytes = b"") -> Keys:
    """A new pair on the curve P-256."""
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    closed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    folder.mkdir(parents=True, exist_ok=True)
    keys = Keys(folder / "key.pem", folder / "pub.pem")
    pem = serialization.Encoding.PEM
    keys.private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, closed))
    keys.public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return keys


def tuned_once_more(tuned: Any, folder: Path) -> Any:
    """Another adapter on the same base, with what training would record of it."""
    shutil.copytree(tuned.folder, folder)
    weights = folder / "adapter_model.safetensors"
    save_file({name: 1.5 * tensor for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    digest = identify(ModelSettings(name=str(folder))).digest
    return dataclasses.replace(tuned, folder=folder, trained=tuned.trained.model_copy(update={"digest": digest}))
