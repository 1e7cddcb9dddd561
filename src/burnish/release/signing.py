"""Signing a release folder and checking the signature, by OpenSSF model-signing: with a key on an elliptic curve, or
keyless, with an identity that Sigstore attests.

The signature covers every file of the folder, the statement in `burnish-release.json` among them, and lies beside them;
`model_signing verify` can check it without Burnish. Knows nothing of what is signed.

Source: OpenSSF Model Signing Specification (https://github.com/ossf/model-signing-spec).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.errors import ReleaseError
from burnish.statement import SIGNATURE

_HOW_TO_MAKE_A_KEY = "make one with: openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem"
_HOW_TO_TAKE_THE_PUBLIC_KEY = "take it from the private one: openssl ec -in KEY.pem -pubout -out PUB.pem"


@dataclass(frozen=True)
class Signer:
    """Who signs. `key` is a PEM file with a private key on the curve P-256, P-384 or P-521, and `password` opens it
    where it is encrypted; without a key Sigstore attests who is asked to log in (or the workload that runs)."""

    key: Path | None = None
    password: str = ""


@dataclass(frozen=True)
class Trust:
    """Whose signature is demanded: that of a `public_key` (PEM), or of an `identity` (a mail address or a workflow's
    URL) that the OpenID Connect `issuer` vouches for. `trust_config` is a file with Sigstore's roots of trust, for
    checking offline. None of them: no signature is demanded."""

    public_key: Path | str | None = None
    identity: str = ""
    issuer: str = ""
    trust_config: Path | None = None

    @property
    def is_demanded(self) -> bool:
        """Whether anybody's signature is demanded."""
        return self.public_key is not None or bool(self.identity)


def check_signer(signer: Signer) -> None:
    """Find out before any work begins whether the signer can sign.

    Raises: ReleaseError when the package or the key can't be had, or the key is of a kind that doesn't sign.
    """
    model_signing = _library()
    if signer.key is not None:
        with _told(signer.key, "private key", _HOW_TO_MAKE_A_KEY):
            model_signing.signing.Config().use_elliptic_key_signer(
                private_key=signer.key, password=signer.password.encode() or None
            )


def sign(folder: Path, signer: Signer) -> None:
    """Write the folder's signature into it; every other file in it is covered.

    Raises: ReleaseError when it can't be signed.
    """
    model_signing = _library()
    config = model_signing.signing.Config().set_hashing_config(_hashing(model_signing))
    if signer.key is not None:
        with _told(signer.key, "private key", _HOW_TO_MAKE_A_KEY):
            config.use_elliptic_key_signer(private_key=signer.key, password=signer.password.encode() or None)
            config.sign(folder, folder / SIGNATURE)
        return
    try:
        config.use_sigstore_signer(use_ambient_credentials=True)
        config.sign(folder, folder / SIGNATURE)
    except Exception as error:  # the library lets through whatever networks, logins and logs may raise
        raise ReleaseError(
            f"release.signing: keyless: Sigstore gave no signature ({_first(error)}); nothing was released",
            hint="it needs the network and a login; or sign with a key: --key KEY.pem",
        ) from error


def signature_fault(folder: Path, trust: Trust) -> str:
    """What is wrong with the folder's signature, or an empty text when it is the demanded one and covers every file.

    Raises: ReleaseError when the package, the public key or Sigstore's roots can't be had.
    """
    model_signing = _library()
    config = model_signing.verifying.Config().set_hashing_config(_hashing(model_signing))
    if trust.public_key is not None:
        with _told(trust.public_key, "public key", _HOW_TO_TAKE_THE_PUBLIC_KEY):
            config.use_elliptic_key_verifier(public_key=trust.public_key)
    else:
        try:
            config.use_sigstore_verifier(
                identity=trust.identity, oidc_issuer=trust.issuer, trust_config=trust.trust_config
            )
        except Exception as error:
            raise ReleaseError(
                f"Sigstore's roots of trust can't be had ({_first(error)}); the signature wasn't checked",
                hint="it needs the network, or a file: --trust-config FILE",
            ) from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the library prints warnings there
            config.verify(folder, folder / SIGNATURE)
    except Exception as error:  # whatever a hostile file makes the parsers raise, it isn't a good signature
        return _first(error) or "it is not by this key"
    return ""


def _hashing(model_signing: Any) -> Any:
    """All files count but the signature itself; those of git too, which the library would leave out."""
    return model_signing.hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _library() -> Any:
    try:
        import model_signing
    except ImportError as error:
        raise ReleaseError(
            f"the package model-signing can't be used ({error}), so no signature can be made or checked; "
            "nothing was done",
            hint="pip install 'burnish[sign]'",
        ) from error
    return model_signing


@contextlib.contextmanager
def _told(key: Path | str, what: str, how: str) -> Iterator[None]:
    """Faults of a key's file as errors that say what to do."""
    try:
        yield
    except OSError as error:
        raise ReleaseError(
            f"{key}: can't be read as a {what} ({error.strerror}); nothing was done", hint=how
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        encrypted = "password" in str(error).lower()
        raise ReleaseError(
            f"{key}: isn't a {what} in PEM form on the curve P-256, P-384 or P-521 ({_first(error)}); nothing was done",
            hint="give the key's password in BURNISH_KEY_PASSWORD" if encrypted else how,
        ) from error


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
