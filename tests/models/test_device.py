from __future__ import annotations

import mmap
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from burnish.errors import ModelError
from burnish.models import device as devices
from burnish.models.settings import ModelSettings

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_is_picked_in_float32() -> None:
    assert devices.pick_device() == CPU
    assert devices.pick_dtype("auto", CPU) == torch.float32


@pytest.mark.usefixtures("no_gpu")
def test_a_device_that_isnt_there_is_an_error() -> None:
    with pytest.raises(ModelError, match="'cuda'") as caught:
        devices.pick_device("cuda")
    assert "auto" in caught.value.hint


@pytest.mark.usefixtures("two_gpus")
def test_each_process_gets_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.pick_device() == CUDA
    monkeypatch.setattr(devices, "rank", lambda: 3)
    assert devices.pick_device() == torch.device("cuda", 1)
    assert devices.pick_device("cpu") == CPU
    with pytest.raises(ModelError):
        devices.pick_device("cuda:2")


@pytest.mark.parametrize(("in_hardware", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_computes_in_the_best_type_it_has(
    in_hardware: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: in_hardware)
    assert devices.pick_dtype("auto", CUDA) == expected
    assert devices.pick_dtype("float32", CUDA) == torch.float32


def test_autocast_changes_products_only_when_asked() -> None:
    a = torch.ones(2, 2)
    with devices.autocast(CPU, torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
    with devices.autocast(CPU, torch.float32):
        assert (a @ a).dtype == torch.float32


def test_a_seed_repeats_every_generator() -> None:
    devices.seed_everything(7)
    first = (torch.rand(3).tolist(), random.random())
    devices.seed_everything(7)
    assert (torch.rand(3).tolist(), random.random()) == first


@pytest.mark.parametrize(("platform", "expected"), [("linux", 2_048_000), ("darwin", 2_000)])
def test_cpu_memory_is_the_process_peak_in_bytes(platform: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.sys, "platform", platform)
    monkeypatch.setattr(devices.resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=2_000))
    assert devices.peak_memory_bytes(CPU) == expected


def test_gpu_memory_time_and_reset_ask_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 123)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: asked.append(f"synchronise {device}"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: asked.append(f"reset {device}"))
    assert devices.peak_memory_bytes(CUDA) == 123
    for device in (CUDA, CPU):
        devices.synchronise(device)
        devices.reset_peak_memory(device)
    assert asked == ["synchronise cuda:0", "reset cuda:0"]


def test_one_process_has_rank_nought_and_many_ask_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (devices.rank(), devices.world_size()) == (0, 1)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    assert (devices.rank(), devices.world_size()) == (2, 4)


def test_moving_keeps_values() -> None:
    assert torch.equal(devices.move(torch.arange(3), CPU), torch.arange(3))


def test_free_memory_is_what_machine_and_control_group_both_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(limit: str) -> None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("700\n")
        (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")

    assert devices._left_in_control_group(tmp_path) is None
    write("max")
    assert devices._left_in_control_group(tmp_path) is None
    write("1000")
    assert devices._left_in_control_group(tmp_path) == 450
    monkeypatch.setattr(devices, "_left_in_control_group", lambda _root: 450)
    assert devices.free_memory_bytes(torch.device("cpu")) == 450
    monkeypatch.setattr(devices, "_left_in_control_group", lambda _root: None)
    free = devices.free_memory_bytes(torch.device("cpu"))
    assert free is not None
    assert free > 10**6
    assert devices.free_memory_bytes(torch.device("meta")) is None


def test_memory_in_use_grows_with_what_is_allocated() -> None:
    cpu = torch.device("cpu")
    before = devices.used_memory_bytes(cpu)
    # Pages of its own, since the C library may hand out memory that it had kept.
    with mmap.mmap(-1, 64 * 2**20) as held:
        held.write(b"\x01" * len(held))
        assert devices.used_memory_bytes(cpu) - before > len(held) // 2


def test_there_is_a_core() -> None:
    assert devices.num_cores() >= 1


def test_products_follow_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ({"amx_bf16": True, "avx512_bf16": True}, {"amx_bf16": False, "avx512_bf16": True})
    for features, expected in (
        *((each, "bfloat16") for each in both),
        ({"avx512_f": True}, "float32"),
        ({}, "float32"),
    ):
        monkeypatch.setattr(devices, "cpu_features", lambda found=features: found)
        assert devices.pick_products("auto", CPU) == expected
        assert devices.pick_products("auto", CUDA) == "float32"
        assert devices.pick_products("float32", CPU) == "float32"
        told = devices.arithmetic(ModelSettings(device="cpu"))
        assert told == ("float32" if expected == "float32" else "float32, bfloat16 products")
    assert devices.arithmetic(ModelSettings(device="cpu", dtype="bfloat16")) == "bfloat16"


def test_products_are_set_for_a_while_and_put_back() -> None:
    before = devices.multiplies_in_bfloat16()
    with devices.products("bfloat16"):
        assert devices.multiplies_in_bfloat16()
        with devices.products("float32"):
            assert not devices.multiplies_in_bfloat16()
        assert devices.multiplies_in_bfloat16()
    assert devices.multiplies_in_bfloat16() == before
