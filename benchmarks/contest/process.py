"""One run, one Python process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_HERE = Path(__file__).resolve().parents[1]


def python(arguments: Sequence[str], first: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, away from the network, and wait for it. Packages in the folders `first` come
    before installed ones."""
    paths = [*first, str(_HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
