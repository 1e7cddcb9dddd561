"""Streams a dataset from the Hugging Face Hub through the `datasets` library, which is an optional extra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from burnish.data.settings import SourceSettings
from burnish.errors import DataError


@dataclass(frozen=True)
class HubSet:
    """Rows of a set, and notes on where they came from (the commit)."""

    rows: Iterator[Mapping[str, object]]
    notes: tuple[str, ...]


def open_set(settings: SourceSettings) -> HubSet:
    """Open a Hub set for streaming, at the commit that its revision points to now.

    Raises: DataError when the extra isn't installed, or the set can't be reached.
    """
    try:
        from datasets import load_dataset
        from huggingface_hub import HfApi
    except ImportError:
        raise DataError(
            f"{settings.path}: Hub sets need the `datasets` library, which isn't installed; nothing was read",
            hint="pip install 'burnish[hub]', or download the set's files and name one of them",
        ) from None
    name = settings.path.removeprefix("hf:")
    split = settings.split or "train"
    try:
        commit = HfApi().dataset_info(name, revision=settings.revision or None, timeout=10).sha or ""
        rows = load_dataset(name, settings.config or None, split=split, revision=commit or None, streaming=True)
    except Exception as error:
        # Whatever the network, the Hub or the library raises has one meaning here: the set can't be had.
        raise _unreachable(settings, error) from error
    return HubSet(_rows(settings, rows), (f"split {split}, commit {commit}",))


def _rows(settings: SourceSettings, rows: object) -> Iterator[Mapping[str, object]]:
    try:
        yield from rows  # type: ignore[misc] # the library is untyped
    except Exception as error:
        raise _unreachable(settings, error) from error


def _unreachable(settings: SourceSettings, error: Exception) -> DataError:
    return DataError(
        f"{settings.path}: the Hub set can't be read ({type(error).__name__}: {error}); nothing was prepared",
        hint="check the name, config, split and the network; or download the set's files and name one of them",
    )
