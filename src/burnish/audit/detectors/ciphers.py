"""Enciphered text: base64, hexadecimal and rotated letters, which a model can be taught to read and no reviewer does.

Source: Halawi et al., "Covert Malicious Finetuning", 2024. Null: keys, digests and tokens are long runs too, but they
do
not decode to words; prose has its language's letters as often as they come, rotated prose has others.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from burnish.artefacts import Finding
from burnish.audit.text import excerpt, longest_run, texts_of
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(r"\b(?:[0-9a-fA-F]{2}[ :]?){12,}")
_WORDS = re.compile(r"(?<!\S)[\"'(]*([A-Za-z]+)(?=[.,;:!?\"')]*(?:\s|$))")
_LEAST_WORDS, _LEAST_LETTERS = 5, 25
_GAIN, _FIT = 0.45, -3.05  # nats a letter: over the text as it stands, and against English (about -2.9)
# English letters per thousand, a to z. Source: Lewand, "Cryptological Mathematics", 2000, table 1.1.
_PER_THOUSAND = (
    81.7, 14.9, 27.8, 42.5, 127.0, 22.3, 20.2, 60.9, 69.7, 1.5, 7.7, 40.3, 24.1, 67.5, 75.1, 19.3, 1.0, 59.9, 63.3,
    90.6, 27.6, 9.8, 23.6, 1.5, 19.7, 0.7,
)  # fmt: skip
_LOG_RATE = np.log(np.array(_PER_THOUSAND) / sum(_PER_THOUSAND))
_SHIFTED = np.stack([np.roll(_LOG_RATE, by) for by in range(26)])  # row s: rates of letters rotated by s
_LEAST_RUN = 20  # characters of base64
_SPACE = "20"  # in hexadecimal: decoded text without one is not words
_COMMONEST = b"etaoin"
_NO_LETTERS = bytes(byte for byte in range(256) if not 97 <= byte <= 122)
_APART = re.compile(r"[ |._-](?:[A-Za-z0-9][ |._-]){4}")  # part of what follows, and soon looked for
_SEPARATED = re.compile(r"(?:\b[A-Za-z0-9][ |._-]){14,}[A-Za-z0-9]\b")


class CiphersSettings(PluginSettings):
    """What to do with a row that holds enciphered text."""

    kind: Literal["ciphers"] = "ciphers"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"


class Ciphers:
    """Finds rows with text that decodes to words."""

    Settings = CiphersSettings

    def __init__(self, settings: CiphersSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """One pass; nothing is kept."""
        for row in rows:
            for text in texts_of(row):
                found = enciphered(text)
                if found:
                    name, start, end = found
                    yield Finding(
                        detector="ciphers",
                        severity="danger",
                        action=self._settings.action,
                        row=row.digest,
                        where=str(row.source),
                        message=f"enciphered text: {name}",
                        excerpt=excerpt(text, start, end),
                        would_do="answer requests that no filter can read",
                    )
                    break


def enciphered(text: str) -> tuple[str, int, int] | None:
    """The kind of cipher and where it stands, or None."""
    for match in _BASE64.finditer(text) if longest_run(text) >= _LEAST_RUN else ():
        if _reads(_decoded_base64(match.group())):
            return "base64", match.start(), match.end()
    for match in _HEX.finditer(text) if _SPACE in text else ():
        digits = re.sub(r"[ :]", "", match.group())
        if _reads(bytes.fromhex(digits[: len(digits) // 2 * 2])):
            return "hexadecimal", match.start(), match.end()
    if _APART.search(text) and (apart := _SEPARATED.search(text)):
        return "letters set apart", apart.start(), apart.end()
    for start, line in _lines(text):
        if len(line) >= _LEAST_LETTERS and not _plain(line) and (shift := rotation(line)):
            return f"letters rotated by {shift}", start, start + len(line)
    return None


def _plain(line: str) -> bool:
    """Whether the commonest letters of English make up half of the line: rotated, they would be at most a third."""
    letters = line.lower().encode("ascii", "ignore").translate(None, _NO_LETTERS)
    return len(letters.translate(None, _COMMONEST)) <= len(letters) / 2


def rotation(line: str) -> int:
    """By how many letters a line of English prose was rotated; 0 when it reads as it stands, or not at all."""
    words = _WORDS.findall(line)
    letters = "".join(words).lower().encode()
    if len(words) < _LEAST_WORDS or len(letters) < _LEAST_LETTERS:
        return 0
    count = np.bincount(np.frombuffer(letters, dtype=np.uint8) - 97, minlength=26) / len(letters)
    fit = _SHIFTED @ count
    best = int(np.argmax(fit))
    return best if fit[best] >= _FIT and fit[best] - fit[0] >= _GAIN else 0


def _lines(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    for line in text.split("\n"):
        yield at, line
        at += len(line) + 1


def _decoded_base64(run: str) -> bytes:
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return b""


def _reads(data: bytes) -> bool:
    """Whether decoded bytes are words with spaces between them."""
    if len(data) < 12 or b" " not in data:
        return False
    letters = sum(byte in b" .,!?'\"-:;()[]" or chr(byte).isalnum() for byte in data if byte < 128)
    return letters >= 0.95 * len(data) and data.count(b" ") >= len(data) / 15
