"""What a model folder is, as one digest: over the files that decide what the model says, and no others.

A model card, a log or a note of where the weights came from may change without the model becoming another one.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from burnish.records import content_digest
from burnish.run_folder import file_digest

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl")
CONFIGURATION = frozenset(
    {
        "adapter_config.json",
        "added_tokens.json",
        "burnish_base.json",
        "chat_template.jinja",
        "chat_template.json",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "model.safetensors.index.json",
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)


def model_files(folder: Path) -> list[Path]:
    """The files of `folder` (not of folders in it) that the digest covers, sorted by name: weights, configuration,
    tokeniser, chat template, and Python files, since a model may bring code."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and (path.name in CONFIGURATION or path.suffix in (*WEIGHTS, ".py"))
    )


def model_digest(folder: Path) -> str:
    """SHA-256 (hex) over names and contents of `model_files`. A file that hasn't changed in size and time since this
    process last read it isn't read again.

    Raises: OSError when a file can't be read.
    """
    return content_digest([[path.name, _cached_digest(path)] for path in model_files(folder)])


def _cached_digest(path: Path) -> str:
    status = path.stat()
    return _digest_at(path.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=512)
def _digest_at(path: Path, size: int, modified_ns: int) -> str:
    return file_digest(path)
