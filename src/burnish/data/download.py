"""A file at an https address, fetched once into the user's cache.

A file whose digest is known is refused when it differs; without one, the address should name a commit.
"""

from __future__ import annotations

import hashlib
import shutil
import urllib.request
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from burnish.errors import DataError
from burnish.run_folder import file_digest, written_whole

_SECONDS = 30


def fetched(url: str, sha256: str, folder: Path) -> Path:
    """The local copy of the file, under `folder`; fetched when it isn't there yet. `sha256` (hex) is what the file must
    have, or empty.

    Raises: DataError when it can't be fetched, or has another digest.
    """
    name = PurePosixPath(urlparse(url).path).name or "file"
    path = folder / hashlib.sha256(url.encode("utf-8")).hexdigest()[:16] / name
    if not path.is_file():
        try:
            with (
                urllib.request.urlopen(url, timeout=_SECONDS) as answer,
                written_whole(path) as temporary,
                temporary.open("wb") as file,
            ):
                shutil.copyfileobj(answer, file)
        except OSError as error:
            raise DataError(
                f"{url}: can't be fetched ({error}); nothing was read",
                hint="check the network; or fetch the file elsewhere and name your copy as the path",
            ) from error
    if sha256 and (found := file_digest(path)) != sha256:
        path.unlink()
        raise DataError(
            f"{url}: its digest is {found[:12]}, expected {sha256[:12]}; the file was thrown away and nothing was read",
            hint="the address serves another file than the one that is pinned: find out why before you use it",
        )
    return path
