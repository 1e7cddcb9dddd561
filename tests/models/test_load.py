from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.errors import ModelError
from burnish.models import hub
from burnish.models.load import identify, load_model, load_tokenizer, resolve_folder
from burnish.models.settings import ModelSettings


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_folder_loads_on_the_cpu_in_float32_ready_to_answer(tiny_model_folder: Path) -> None:
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    assert (loaded.device, loaded.dtype) == (torch.device("cpu"), torch.float32)
    assert not loaded.model.training
    assert loaded.identity.path == str(tiny_model_folder)
    assert loaded.tokenizer.decode(loaded.tokenizer("the cat")["input_ids"]) == "the cat"


def test_dtype_and_attention_are_as_asked(tiny_model_folder: Path) -> None:
    settings = ModelSettings(name=str(tiny_model_folder), device="cpu", dtype="bfloat16")
    loaded = load_model(settings, attn_implementation="eager")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    assert loaded.model.config._attn_implementation == "eager"


def test_loading_prints_nothing(tiny_model_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    assert capfd.readouterr() == ("", "")


def test_the_digest_covers_weights_configuration_and_template_but_not_the_model_card(folder: Path) -> None:
    settings = ModelSettings(name=str(folder))
    first = identify(settings).digest
    (folder / "README.md").write_text("a card")
    assert identify(settings).digest == first
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    second = identify(settings).digest
    edit_json(folder / "config.json", rms_norm_eps=1e-5)
    third = identify(settings).digest
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert len({first, second, third, identify(settings).digest}) == 4


def test_pickled_weights_are_refused_by_name_unless_the_recipe_allows_them(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model\.bin") as caught:
        load_model(ModelSettings(name=str(folder), device="cpu"))
    assert "allow_pickle: true" in caught.value.hint
    allowed = load_model(ModelSettings(name=str(folder), device="cpu", allow_pickle=True))
    assert allowed.model.num_parameters() > 0


def test_a_model_that_brings_its_own_code_is_refused_unless_the_recipe_allows_it(folder: Path) -> None:
    marker = folder / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    edit_json(folder / "config.json", model_type="unheard_of", auto_map={"AutoConfig": "evil.Config"})
    with pytest.raises(ModelError, match="own code") as caught:
        load_model(ModelSettings(name=str(folder), device="cpu"))
    assert "trust_remote_code: true" in caught.value.hint
    assert not marker.exists()


def test_a_known_architecture_loads_with_the_librarys_code_not_its_own(folder: Path) -> None:
    marker = folder / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"})
    assert load_model(ModelSettings(name=str(folder), device="cpu")).model.config.model_type == "llama"
    assert not marker.exists()


def test_missing_weights_are_an_error_never_random_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj"):
        load_model(ModelSettings(name=str(folder), device="cpu"))


def test_weights_of_another_shape_or_a_cut_file_are_an_error(folder: Path) -> None:
    edit_json(folder / "config.json", intermediate_size=96)
    with pytest.raises(ModelError, match="can't be loaded"):
        load_model(ModelSettings(name=str(folder), device="cpu"))
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="can't be loaded"):
        load_model(ModelSettings(name=str(folder), device="cpu"))


@pytest.mark.parametrize("shard", ["absent.safetensors", "../outside.safetensors"])
def test_an_index_must_name_files_of_the_folder(shard: str, folder: Path) -> None:
    (folder.parent / "outside.safetensors").write_bytes(b"")
    index = {"metadata": {}, "weight_map": {"model.norm.weight": shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="aren't in the folder"):
        identify(ModelSettings(name=str(folder)))


@pytest.mark.parametrize(
    ("removed", "message"),
    [("model.safetensors", "no .safetensors"), ("config.json", "no config.json"), ("tokenizer.json", "tokeniser")],
)
def test_a_folder_that_lacks_something_says_what(removed: str, message: str, folder: Path) -> None:
    (folder / removed).unlink()
    with pytest.raises(ModelError, match=message) as caught:
        load_model(ModelSettings(name=str(folder), device="cpu"))
    assert caught.value.hint


def test_a_broken_config_is_an_error(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json: can't be read as JSON"):
        identify(ModelSettings(name=str(folder)))


def test_names_that_mean_nothing_get_a_hint_without_asking_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the Hub was asked"))
    with pytest.raises(ModelError) as caught:
        resolve_folder(ModelSettings(name="smollm2-135m-instrct"))
    assert "smollm2-135m-instruct" in caught.value.hint
    for name in ("./nowhere", str(tmp_path / "nowhere"), "../a/b/c", "owner/../model"):
        with pytest.raises(ModelError, match="no such folder"):
            resolve_folder(ModelSettings(name=name))
    (tmp_path / "file.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is a file"):
        resolve_folder(ModelSettings(name=str(tmp_path / "file.safetensors")))


def test_a_hub_snapshots_commit_is_recorded(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = shutil.copytree(tiny_model_folder, tmp_path / "snapshots" / commit)
    monkeypatch.setattr(hub, "download", lambda settings: Path(snapshot))
    identity = identify(ModelSettings(name="owner/model"))
    assert (identity.name, identity.commit) == ("owner/model", commit)


def test_a_tokeniser_without_template_or_padding_serves_for_text(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    edit_json(folder / "tokenizer_config.json", pad_token=None)
    tokenizer = load_tokenizer(ModelSettings(name=str(folder)))
    assert tokenizer.chat_template is None
    assert tokenizer.pad_token == "<|im_end|>"


def test_a_saved_tokeniser_doesnt_tell_how_it_was_found(tiny_model_folder: Path, tmp_path: Path) -> None:
    load_tokenizer(ModelSettings(name=str(tiny_model_folder))).save_pretrained(tmp_path)
    assert not {"local_files_only", "is_local"} & json.loads((tmp_path / "tokenizer_config.json").read_text()).keys()
