"""From a file of prepared records to encoded rows, by the cheapest way: out of the cache, by several processes, or
right here where there is little to do."""

from __future__ import annotations

import pickle
from collections.abc import Collection
from pathlib import Path

from burnish.data.store import read_records
from burnish.logs import say
from burnish.models.chat_template import Encoder
from burnish.models.device import num_cores
from burnish.train.encoded_cache import EncodedCache, encoding_key
from burnish.train.encoding import Encoding, encode_rows, joined
from burnish.train.method import Method
from burnish.train.workers import encode_in_parallel

# Below, in bytes of prepared records: a second's encoding isn't worth a place in the cache, and a worker's start (three
# seconds, most of them for importing torch) isn't worth its share of less than four times that.
WORTH_KEEPING = 2**20
WORTH_A_WORKER = 8 * 2**20
_LABEL = "Encoding rows"


def encode_file(
    path: Path,
    num_records: int,
    quarantined: Collection[str],
    method: Method,
    encoder: Encoder,
    cache: EncodedCache | None,
) -> Encoding:
    """Encode a file of prepared records; the same rows in the same order whichever way it is done.

    Raises: as `encode_rows`; DataError when the file is missing or was damaged.
    """
    size = path.stat().st_size if path.exists() else 0
    if cache is None or size < WORTH_KEEPING:
        return _encode(path, size, num_records, quarantined, method, encoder)
    key = encoding_key(path, quarantined, method, encoder)
    found = cache.get(key)
    if found is not None:
        say(f"{len(found.rows):,} rows were encoded before and are taken from the cache")
        return found
    encoding = _encode(path, size, num_records, quarantined, method, encoder)
    cache.put(key, encoding)
    return encoding


def _encode(
    path: Path, size: int, num_records: int, quarantined: Collection[str], method: Method, encoder: Encoder
) -> Encoding:
    num_workers = min(num_cores(), size // WORTH_A_WORKER)
    if num_workers > 1:
        try:
            parts = encode_in_parallel(path, frozenset(quarantined), method, encoder, num_workers)
        except (pickle.PicklingError, TypeError, AttributeError):
            pass  # a method or tokeniser that can't be sent to another process is used in this one
        else:
            return joined(parts, num_records, _LABEL)
    return encode_rows(read_records(path), num_records, quarantined, method, encoder, _LABEL)
