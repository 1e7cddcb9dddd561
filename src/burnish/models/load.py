"""Loading: from what a recipe says to weights in memory, and to the digest that names them.

A name is a built-in, a local folder (a model's or a PEFT adapter's) or a Hub id. Only safetensors are read and no code
of a model's is run, unless the settings say otherwise. Knows nothing of training or generation.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from burnish.artefacts import ModelIdentity
from burnish.errors import ModelError
from burnish.models import builtin, hub
from burnish.models.base_form import BaseForm, read_base_form
from burnish.models.device import pick_device, pick_dtype, pick_products
from burnish.models.fewer_layers import write_with_layers
from burnish.models.fingerprint import WEIGHTS, model_digest
from burnish.models.settings import ModelSettings
from burnish.models.vocabulary import add_tokens, extend
from burnish.records import content_digest

_PICKLED = tuple(suffix for suffix in WEIGHTS if suffix != ".safetensors")
_LOAD_FAULTS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError)
_LONGEST_CHAIN = 8


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in memory, in evaluation mode, with its tokeniser (which always has a padding token) and identity.
    `form` is what was done to it on the way: what an adapter that is trained on it will want of its base."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    identity: ModelIdentity
    device: torch.device
    dtype: torch.dtype
    form: BaseForm = field(default_factory=BaseForm)
    products: Literal["float32", "bfloat16"] = "float32"


def resolve_folder(settings: ModelSettings, *, cache: Path | None = None) -> Path:
    """The local folder that `settings` mean; a built-in or a Hub model is fetched if need be, and a model with fewer
    layers is made of it.

    Raises: ModelError when there is no such model, it can't be had, or hasn't as many layers.
    """
    if settings.layers is not None:
        return _with_fewer_layers(settings, settings.layers, cache)
    name = settings.name
    if name in builtin.BUILTINS:
        return builtin.pull(name, cache=cache)
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise ModelError(
            f"model {name!r}: is a file, expected a folder with safetensors and config.json; nothing was loaded",
            hint="give the folder that the file lies in",
        )
    near = difflib.get_close_matches(name, builtin.BUILTINS, n=1)
    if near or not hub.is_hub_id(name):
        raise ModelError(
            f"model {name!r}: no such folder, built-in model or Hub id; nothing was loaded",
            hint=f"did you mean {near[0]!r}?" if near else "check the path; built-in models: burnish models list",
        )
    return hub.download(settings)


def identify(settings: ModelSettings, *, cache: Path | None = None) -> ModelIdentity:
    """Which weights these are, without loading them. An adapter's digest covers its base too.

    Raises: ModelError as `resolve_folder`, and when the folder isn't a model or isn't safe to load.
    """
    return _identify(settings, cache, _LONGEST_CHAIN)


def load_tokenizer(settings: ModelSettings, *, cache: Path | None = None) -> PreTrainedTokenizerBase:
    """The tokeniser alone, with the tokens that the settings add. An adapter's is its own where it brings one, else its
    base's.

    Raises: ModelError as `resolve_folder`, and when the tokeniser can't be read.
    """
    added = settings.add_tokens
    folder = resolve_folder(settings, cache=cache)
    for _ in range(_LONGEST_CHAIN):
        if not is_adapter(folder) or (folder / "tokenizer_config.json").exists():
            break
        settings = _base_settings(settings, folder)
        folder = resolve_folder(settings, cache=cache)
    tokenizer = _tokenizer(settings, folder)
    add_tokens(tokenizer, added)
    return tokenizer


def load_model(
    settings: ModelSettings,
    *,
    quantise: bool = False,
    attn_implementation: str | None = None,
    cache: Path | None = None,
) -> LoadedModel:
    """The model in memory on its device, with the tokens that the settings add; an adapter is merged into its base in
    memory, which is prepared as it was when the adapter was trained (see `base_form`).

    `quantise` holds the linear layers' weights in 4 bits (NF4, double quantisation). `attn_implementation` is a name
    registered with transformers; None leaves the library's default.

    Raises: ModelError as `identify`, and when the weights can't be read or don't fit their configuration.
    """
    identity = identify(settings, cache=cache)
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    if quantise and identity.base is not None:
        raise ModelError(
            f"model {identity.name!r}: is an adapter, which can't be merged into 4-bit weights; nothing was loaded",
            hint="start from the merged model, or use the adapter lora",
        )
    reading = _Reading(device, dtype, attn_implementation)
    try:
        with hub.quiet():
            model, tokenizer = _prepared(identity, settings, reading, quantise)
    except _LOAD_FAULTS as error:
        raise ModelError(f"model {settings.name!r} ({identity.path}): can't be loaded: {error}") from error
    if not quantise:
        model.to(device)  # type: ignore[arg-type]  # transformers' decorated signature hides the plain one
    model.eval()  # type: ignore[no-untyped-call]
    form = BaseForm(quantised="nf4" if quantise else None, add_tokens=settings.add_tokens)
    return LoadedModel(model, tokenizer, identity, device, dtype, form, pick_products(settings.products, device))


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds a PEFT adapter."""
    return (folder / "adapter_config.json").is_file()


# --- identity ---------------------------------------------------------------------------------------------------------


def _identify(settings: ModelSettings, cache: Path | None, links_left: int) -> ModelIdentity:
    folder = resolve_folder(settings, cache=cache)
    _check_folder(folder, settings)
    digest = model_digest(folder)
    base = None
    if is_adapter(folder):
        if links_left == 0:
            raise ModelError(
                f"model {settings.name!r}: a chain of more than {_LONGEST_CHAIN} adapters, perhaps in a circle; "
                "nothing was loaded",
                hint="look at base_model_name_or_path in each adapter_config.json",
            )
        base = _identify(_base_settings(settings, folder), cache, links_left - 1)
        digest = content_digest(digest, base.digest)
    if settings.add_tokens:
        digest = content_digest(digest, "add_tokens", list(settings.add_tokens))
    name = settings.name if settings.layers is None else str(folder)
    return ModelIdentity(name=name, path=str(folder), digest=digest, commit=_commit(folder), base=base)


def _with_fewer_layers(settings: ModelSettings, count: int, cache: Path | None) -> Path:
    """The folder of the model with that many of its layers, in the user's cache."""
    whole = settings.whole()
    identity = identify(whole, cache=cache)
    known_by = content_digest(identity.digest, count, settings.dtype)[:12]
    name = f"{Path(settings.name).name}-{count}-layers-{known_by}"
    folder = (cache or builtin.cache_folder()) / name
    if not folder.is_dir():
        loaded = load_model(whole.model_copy(update={"device": "cpu"}), cache=cache)
        write_with_layers(loaded.model, loaded.tokenizer, identity, count, folder)
    return folder


def _base_settings(settings: ModelSettings, folder: Path) -> ModelSettings:
    """The settings of the model that the adapter in `folder` was trained on."""
    config = _read_json(folder / "adapter_config.json")
    name = config.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ModelError(
            f"{folder}/adapter_config.json: doesn't name the model that the adapter was trained on; nothing was loaded",
            hint="write its folder or Hub id there as base_model_name_or_path",
        )
    revision = config.get("revision") or "main"
    added = read_base_form(folder).add_tokens
    changed = {"name": name, "revision": revision, "add_tokens": added, "layers": None}
    return ModelSettings.model_validate(settings.model_dump() | changed)


def _commit(folder: Path) -> str:
    if folder.parent.name == "snapshots" and hub.is_commit(folder.name):
        return folder.name
    return builtin.commit_of(folder)


# --- safety -----------------------------------------------------------------------------------------------------------


def _check_folder(folder: Path, settings: ModelSettings) -> None:
    """Raises: ModelError when the folder isn't a model's, has weights that may run code, or needs code of its own."""
    weights = sorted(path.name for path in folder.glob("*.safetensors"))
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
    if not weights and pickled and not settings.allow_pickle:
        raise ModelError(
            f"{folder}: got pickled weights only ({', '.join(pickled[:4])}), expected .safetensors; "
            "pickles can run code, so nothing was loaded",
            hint="convert them to safetensors; or, if you trust whoever made them, set model.allow_pickle: true",
        )
    if not weights and not pickled:
        raise ModelError(
            f"{folder}: holds no .safetensors files, so it isn't a model's folder; nothing was loaded",
            hint="give the folder that holds config.json and model.safetensors, or adapter_config.json",
        )
    if is_adapter(folder):
        return
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: holds weights but no config.json; nothing was loaded",
            hint="copy config.json from where the weights came from",
        )
    config = _read_json(folder / "config.json")
    if "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING and not settings.trust_remote_code:
        raise ModelError(
            f"{folder}/config.json: the model needs its own code ({config['auto_map']}) to run; nothing was loaded",
            hint="read that code; if you trust it, set model.trust_remote_code: true",
        )
    _check_shards(folder)


def _check_shards(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return
    weight_map = _read_json(index).get("weight_map")
    shards = set(weight_map.values()) if isinstance(weight_map, dict) else set()
    absent = sorted(str(s) for s in shards if Path(str(s)).name != s or not (folder / str(s)).is_file())
    if absent or not shards:
        raise ModelError(
            f"{index}: names weight files that aren't in the folder ({', '.join(absent[:4])}); nothing was loaded",
            hint="fetch the model again",
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: can't be read as JSON ({error}); nothing was loaded") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: got {type(value).__name__}, expected an object; nothing was loaded")
    return value


# --- reading ----------------------------------------------------------------------------------------------------------


def _tokenizer(settings: ModelSettings, folder: Path) -> PreTrainedTokenizerBase:
    try:
        with hub.quiet():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=settings.trust_remote_code
            )
    except _LOAD_FAULTS as error:
        raise ModelError(
            f"{folder}: its tokeniser can't be loaded: {error}",
            hint="the folder needs tokenizer.json and tokenizer_config.json beside the weights",
        ) from error
    for how_it_was_found in ("is_local", "local_files_only"):  # the library would save these with the tokeniser
        tokenizer.init_kwargs.pop(how_it_was_found, None)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


@dataclass(frozen=True)
class _Reading:
    """How weights are read."""

    device: torch.device
    dtype: torch.dtype
    attn_implementation: str | None

    def options(self, quantise: bool) -> dict[str, Any]:
        """The library's own keywords."""
        options: dict[str, Any] = {"dtype": self.dtype}
        if self.attn_implementation is not None:
            options["attn_implementation"] = self.attn_implementation
        if quantise:
            options["quantization_config"] = _four_bits(self.dtype)
            options["device_map"] = {"": self.device}
        return options


def _four_bits(dtype: torch.dtype) -> BitsAndBytesConfig:
    if find_spec("bitsandbytes") is None:
        raise ModelError(
            "adapter qlora: the package bitsandbytes isn't installed, so 4-bit weights can't be made; "
            "nothing was loaded",
            hint="pip install 'burnish[qlora]', or use the adapter lora",
        )
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _keep_gradients(model: PreTrainedModel) -> None:
    """Keep bitsandbytes from repacking 4-bit weights for bfloat16 instructions of the CPU, as it would at the first
    pass in evaluation mode: from then on no gradient flows through them, in training either, and nothing says so."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def _prepared(
    identity: ModelIdentity, settings: ModelSettings, reading: _Reading, quantise: bool
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokeniser with the tokens that `settings` add; an adapter merged into its base."""
    folder = Path(identity.path)
    if identity.base is None:
        model, tokenizer = _weights(identity, settings, reading.options(quantise)), _tokenizer(settings, folder)
        if quantise:
            _keep_gradients(model)
    else:
        from peft import PeftModel

        form = read_base_form(folder)
        base_settings = _base_settings(settings, folder)
        base, tokenizer = _prepared(identity.base, base_settings, reading, form.quantised is not None)
        if form.quantised:
            base = dequantised(base, reading.dtype)
        model = PeftModel.from_pretrained(base, identity.path).merge_and_unload()
        model.name_or_path = identity.path  # what an adapter that is trained on it names as its base
        if (folder / "tokenizer_config.json").exists():
            tokenizer = _tokenizer(settings, folder)
    extend(model, tokenizer, settings.add_tokens)
    return model, tokenizer


def dequantised(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The model with ordinary weights of the very values that its 4-bit ones stand for."""
    whole: PreTrainedModel = model.dequantize(dtype=dtype)  # type: ignore[no-untyped-call]
    return whole


def _weights(identity: ModelIdentity, settings: ModelSettings, options: dict[str, Any]) -> PreTrainedModel:
    read: Any = AutoModelForCausalLM.from_pretrained(
        identity.path,
        use_safetensors=None if settings.allow_pickle else True,
        trust_remote_code=settings.trust_remote_code,
        local_files_only=True,
        output_loading_info=True,
        **options,
    )
    model: PreTrainedModel = read[0]
    absent = sorted(read[1]["missing_keys"])
    if absent:
        raise ValueError(f"the files hold no weights for {', '.join(absent[:4])} ({len(absent)} in all)")
    return model
