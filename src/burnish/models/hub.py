"""The Hugging Face Hub: whether it can be reached, and fetching one model's files at one revision.

Only safetensors, configuration and tokeniser files are fetched, unless pickled weights are allowed. Knows nothing of
what is in the files.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from burnish.errors import ModelError
from burnish.models.settings import DEFAULT_MODEL, ModelSettings

PROBE_SECONDS = 8.0
_REPOSITORY = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$", re.ASCII)
_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
_PICKLED = ("*.bin", "*.pt", "*.pth")


def is_hub_id(name: str) -> bool:
    """Whether `name` has the form of a Hub id ("model" or "owner/model")."""
    return bool(_REPOSITORY.match(name)) and ".." not in name and "--" not in name


def is_commit(revision: str) -> bool:
    """Whether `revision` is a full commit hash, which always means the same files."""
    return bool(_COMMIT.match(revision))


def reachable(timeout_seconds: float = PROBE_SECONDS) -> bool:
    """Whether the Hub answers within `timeout_seconds`, name resolution included. False in the Hub client's offline
    mode."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    answers: list[bool] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=timeout_seconds)
            answers.append(True)
        except Exception:  # whatever the failure is called, the Hub didn't answer
            answers.append(False)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    return any(answers)


def download(settings: ModelSettings, *, into: Path | None = None) -> Path:
    """The folder of a Hub model, fetched if need be: `into`, or in the Hub client's own cache, where its name is the
    commit hash. Without the Hub, what an earlier run fetched at this revision is used.

    Raises: ModelError when there is no such model or revision, it is closed to this user, or the Hub can't be reached
    and nothing was fetched before.
    """
    from huggingface_hub import errors, snapshot_download

    patterns = [*_FILES]
    if settings.allow_pickle:
        patterns += _PICKLED
    if settings.trust_remote_code:
        patterns.append("*.py")
    offline = not reachable()
    try:
        with quiet():
            found = snapshot_download(
                settings.name,
                revision=settings.revision,
                local_dir=into,
                allow_patterns=patterns,
                local_files_only=offline,
            )
    except errors.LocalEntryNotFoundError as error:
        why = "the Hub can't be reached and no earlier run fetched it"
        raise _missing(
            settings, why, f"give a local folder as model.name, or use the built-in {DEFAULT_MODEL}"
        ) from error
    except errors.GatedRepoError as error:
        hint = "ask for it on its page, then sign in with: hf auth login"
        raise _missing(settings, "its owner gives it out on request", hint) from error
    except errors.RepositoryNotFoundError as error:
        hint = "check the spelling; a private model needs: hf auth login"
        raise _missing(settings, "the Hub has no such model", hint) from error
    except errors.RevisionNotFoundError as error:
        raise _missing(settings, "the model has no such revision", "check model.revision") from error
    except OSError as error:
        raise _missing(settings, f"fetching it failed ({error})", "run the same command again") from error
    return Path(found)


def _missing(settings: ModelSettings, why: str, hint: str) -> ModelError:
    return ModelError(
        f"model {settings.name!r} at revision {settings.revision!r}: {why}; nothing was loaded", hint=hint
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the model libraries' own progress bars, log lines and notes on each other's future off the terminal while
    the block runs."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging as transformers_logging

    hub_was_off = are_progress_bars_disabled()
    bar_was_on = transformers_logging.is_progress_bar_enabled()
    verbosity = transformers_logging.get_verbosity()
    hub_level = logging.getLogger("huggingface_hub").level
    disable_progress_bars()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            # PEFT has ranks ready for a mixture's fused experts, which it doesn't count among the linear layers.
            warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys", RuntimeWarning)
            yield
    finally:
        logging.getLogger("huggingface_hub").setLevel(hub_level)
        transformers_logging.set_verbosity(verbosity)
        if bar_was_on:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        if not hub_was_off:
            enable_progress_bars()
