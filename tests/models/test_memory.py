"""Freed memory is kept on glibc, and nothing is done elsewhere."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.models.memory import give_back_freed_memory, keep_freed_memory, look_up, set_aside, set_files_aside

SCRIPT = """
import resource, sys
from burnish.models.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(2**26)
before = faults()
for _ in range(4):
    bytearray(2**26)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
def test_large_blocks_are_reused() -> None:
    counts = {
        mode: int(subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, check=True).stdout)
        for mode in ("keep", "leave")
    }
    assert counts["keep"] < 1000 < counts["leave"]


RESIDENT = """
from pathlib import Path
from burnish.models.memory import give_back_freed_memory, keep_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
keep_freed_memory()
blocks = [bytearray(b"x" * 2**20) for _ in range(256)]
del blocks[:-1]
held = resident()
assert give_back_freed_memory()
print(held - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
def test_what_was_kept_can_be_given_back_though_something_lies_behind_it() -> None:
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, check=True)
    assert int(done.stdout) > 200 * 2**20 // 4096


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
    assert not give_back_freed_memory()


def of_files() -> int:
    """Bytes of mapped files that are in this process' memory."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("RssFile"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(platform.system() != "Linux", reason="Linux's advice only")
def test_mapped_weights_are_set_aside_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.arange(2**22, dtype=torch.float32)}, path)
    weight = load_file(path)["weight"]
    weight.sum()
    before = of_files()
    assert set_aside(weight)
    assert of_files() < before - 2**23
    assert weight[12345] == 12345


def test_what_was_written_to_weights_is_kept(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2**20)}, tmp_path / "model.safetensors")
    weight = load_file(tmp_path / "model.safetensors")["weight"]
    weight += 1
    set_aside(weight)
    assert bool((weight == 1).all())
    own = torch.ones(2**20)
    assert not set_aside(own)
    assert bool((own == 1).all())


@pytest.mark.skipif(platform.system() != "Linux", reason="Linux's advice only")
def test_a_file_of_which_little_is_read_stays_out_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    weights = {f"{index}_{name}": torch.rand(size) for index in range(8) for name, size in (("a", 2**20), ("norm", 64))}
    save_file(weights, path)
    module = torch.nn.ParameterDict({name: torch.nn.Parameter(t, False) for name, t in load_file(path).items()})
    before = of_files()
    for weight in module.values():
        weight.sum()
    assert of_files() > before + 2**24
    assert set_files_aside(module) == 1
    for name in weights:
        if name.endswith("norm"):
            module[name].sum()
    assert of_files() < before + 2**20
    assert all(torch.equal(module[name], weight) for name, weight in weights.items())


@pytest.mark.skipif(platform.system() != "Linux", reason="Linux's advice only")
def test_what_was_written_to_in_a_mapped_file_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2**20)}, path)
    module = torch.nn.ParameterDict({"weight": torch.nn.Parameter(load_file(path)["weight"], False)})
    module["weight"][2**19] = 1.0
    assert set_files_aside(module) == 0
    assert module["weight"].sum() == 1.0


@pytest.mark.skipif(platform.system() != "Linux", reason="Linux's advice only")
def test_rows_are_looked_up_as_by_an_index(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.rand(2**14, 576)}, path)
    weight = load_file(path)["weight"]
    rows = torch.randint(0, len(weight), (300,))
    wanted = weight[rows].clone()
    set_aside(weight)
    before = of_files()
    assert torch.equal(look_up(weight, rows), wanted)
    assert of_files() < before + 2**21
    with pytest.raises(IndexError, match="16384"):
        look_up(weight, torch.tensor([2**14]))
