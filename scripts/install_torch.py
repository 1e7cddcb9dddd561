"""Install torch into the running environment, and not gigabytes of CUDA where no GPU is.

With a GPU, or on a platform whose ordinary wheels are CPU builds, the ordinary torch. Otherwise a CPU build: from
PyTorch's CPU index if it can be reached, else one that pip's own configuration offers at the version that Burnish is
developed with.
Only when neither is to be had, the ordinary build, with a warning.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import shutil
import subprocess
import sys
import urllib.request

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
DEVELOPED_WITH = "torch==2.13.0"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def has_gpu() -> bool:
    """Whether an NVIDIA GPU answers."""
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True).returncode == 0


def reachable(url: str) -> bool:
    """Whether the address answers within five seconds."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=5):
            return True
    except OSError:
        return False


def is_cpu_build(requirement: str) -> bool:
    """Whether what pip would install for `requirement` needs no CUDA packages."""
    command = [*PIP, "install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed", "--report", "-", requirement]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        return False
    metadata = json.loads(answer.stdout)["install"][0]["metadata"]
    return not any(need.lower().startswith(("nvidia", "cuda", "triton")) for need in metadata.get("requires_dist", []))


def main() -> int:
    """Install, and return pip's exit code."""
    if importlib.util.find_spec("torch") is not None:
        return 0
    install = [*PIP, "install"]
    if sys.platform != "linux" or platform.machine() != "x86_64" or has_gpu():
        return subprocess.run([*install, "torch"]).returncode
    if reachable(f"{CPU_INDEX}/torch/"):
        return subprocess.run([*install, "torch", "--index-url", CPU_INDEX]).returncode
    if is_cpu_build(DEVELOPED_WITH):
        return subprocess.run([*install, DEVELOPED_WITH]).returncode
    print("warning: no CPU build of torch is to be had here; the ordinary one follows, of several GB", file=sys.stderr)
    return subprocess.run([*install, "torch"]).returncode


if __name__ == "__main__":
    sys.exit(main())
