"""Signing: what is covered, whose it is, and what a person is told when it can't be done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from burnish.errors import ReleaseError
from burnish.release import signing
from burnish.release.signing import Signer, Trust, check_signer, sign, signature_fault
from burnish.statement import SIGNATURE

from .forgery import Keys, make_keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, and one in a folder of its own."""
    made = tmp_path / "release"
    (made / "evidence").mkdir(parents=True)
    (made / "README.md").write_text("a card", encoding="utf-8")
    (made / "evidence/decision.json").write_text("{}", encoding="utf-8")
    return made


def test_every_file_is_covered_wherever_the_folder_lies(folder: Path, keys: Keys, tmp_path: Path) -> None:
    sign(folder, Signer(keys.private))
    trust = Trust(public_key=keys.public)
    folder = folder.rename(tmp_path / "elsewhere")
    assert signature_fault(folder, trust) == ""
    for name in ("README.md", "evidence/decision.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole + b" ")
        assert "mismatch" in signature_fault(folder, trust)
        (folder / name).write_bytes(whole)
    (folder / ".gitignore").write_text("added", encoding="utf-8")
    assert "Extra files" in signature_fault(folder, trust)


def test_another_key_is_told_apart(folder: Path, keys: Keys, tmp_path: Path) -> None:
    sign(folder, Signer(keys.private))
    assert signature_fault(folder, Trust(public_key=make_keys(tmp_path / "other").public))


def test_the_library_itself_can_check_it(folder: Path, keys: Keys) -> None:
    sign(folder, Signer(keys.private))
    command = [sys.executable, "-W", "ignore", "-m", "model_signing", "verify", "key", str(folder)]
    options = ["--signature", str(folder / SIGNATURE), "--ignore-paths", str(folder / SIGNATURE)]
    result = subprocess.run(
        [*command, *options, "--public_key", str(keys.public)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_an_encrypted_key_needs_its_password(folder: Path, keys: Keys, tmp_path: Path) -> None:
    closed = make_keys(tmp_path / "closed", password=b"open sesame")
    with pytest.raises(ReleaseError, match="isn't a private key") as refused:
        check_signer(Signer(closed.private))
    assert "BURNISH_KEY_PASSWORD" in refused.value.hint
    sign(folder, Signer(closed.private, "open sesame"))
    assert signature_fault(folder, Trust(public_key=closed.public)) == ""


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_key_is_told(keys: Keys, tmp_path: Path, folder: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ReleaseError, match="isn't a private key in PEM form") as refused:
        check_signer(Signer(path))
    assert "openssl" in refused.value.hint
    with pytest.raises(ReleaseError, match="isn't a public key"):
        signature_fault(folder, Trust(public_key=path))
    with pytest.raises(ReleaseError, match="can't be read as a private key"):
        check_signer(Signer(tmp_path / "nowhere.pem"))


def test_a_key_of_another_kind_is_told(keys: Keys, tmp_path: Path) -> None:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "rsa.pem").write_bytes(key.private_bytes(*plain))
    with pytest.raises(ReleaseError, match="on the curve P-256"):
        check_signer(Signer(tmp_path / "rsa.pem"))


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(ReleaseError, match="model-signing can't be used") as refused:
        check_signer(Signer())
    assert refused.value.hint == "pip install 'burnish[sign]'"


class Sigstore:
    """Stands for the library's configurations of signing and checking; remembers what it was asked for."""

    asked: dict[str, Any]

    def __init__(self) -> None:
        self.asked = {}

    def Config(self) -> Sigstore:  # noqa: N802 - the library's name
        return self

    def set_hashing_config(self, _: object) -> Sigstore:
        return self

    def use_sigstore_signer(self, **options: object) -> Sigstore:
        self.asked |= options
        return self

    def use_sigstore_verifier(self, **options: object) -> Sigstore:
        self.asked |= options
        return self

    def sign(self, *_: object) -> None:
        raise ConnectionError("no route to host")

    def verify(self, *_: object) -> None:
        return None


def test_keyless_asks_sigstore(monkeypatch: pytest.MonkeyPatch, folder: Path, keys: Keys, tmp_path: Path) -> None:
    import model_signing

    both = Sigstore()
    monkeypatch.setattr(model_signing, "signing", both)
    monkeypatch.setattr(model_signing, "verifying", both)
    with pytest.raises(ReleaseError, match=r"Sigstore gave no signature \(no route to host\)"):
        signing.sign(folder, Signer())
    assert both.asked == {"use_ambient_credentials": True}
    roots = tmp_path / "roots.json"
    assert signature_fault(folder, Trust(identity="a@b.c", issuer="https://x", trust_config=roots)) == ""
    assert both.asked["identity"] == "a@b.c"
    assert both.asked["trust_config"] == roots
