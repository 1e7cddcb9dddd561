"""Writing replies with vLLM, on the same CUDA device as training, which hands it its weights before every rollout.

Between rollouts vLLM sleeps and gives its memory back. It runs inside this process, so that weights go from tensor to
tensor. vLLM is an extra, and is imported where it is first needed.

Source: docs.vllm.ai: LLM, SamplingParams, sleep mode (level 2 forgets the weights, which come anew).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from burnish.errors import TrainError
from burnish.models.anatomy import unwrapped
from burnish.models.generate import Generated, GenerationSettings, stop_tokens
from burnish.models.merged import merged

_OF_ADAPTERS = ("lora_", "base_layer.weight_scale")
_REPLACED = ("token_adapter", "modules_to_save", "original_module", "trainable_tokens")


def require_vllm(device: torch.device) -> None:
    """Raises: TrainError where vLLM can't run: no CUDA device, or it isn't installed."""
    said = "train.method.rollouts: vllm writes answers with vLLM"
    if device.type != "cuda":
        raise TrainError(
            f"{said}, which runs on CUDA here, but the model is on {device.type}; nothing was trained",
            hint="set train.method.rollouts: own, which writes on every device",
        )
    if importlib.util.find_spec("vllm") is None:
        raise TrainError(
            f"{said}, but vllm isn't installed; nothing was trained",
            hint="pip install 'burnish[vllm]' in an environment with the torch that it asks for, or set "
            "train.method.rollouts: own",
        )


class VLLMWriter:
    """vLLM beside a model in training. `folder` holds the base's configuration and tokeniser; `dtype` is the type that
    products run in; `max_length` the most tokens of a prompt with its reply; `memory_share` how much of the device's
    memory vLLM may take while it writes."""

    def __init__(self, folder: Path, dtype: torch.dtype, max_length: int, memory_share: float) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # weights are handed over within the process
        vllm: Any = importlib.import_module("vllm")
        self._params = vllm.SamplingParams
        self._max_length = max_length
        self._llm = vllm.LLM(
            model=str(folder),
            dtype=str(dtype).removeprefix("torch."),
            max_model_len=max_length,
            gpu_memory_utilization=memory_share,
            enable_prefix_caching=True,  # a prompt that is given several times is computed once
            enable_sleep_mode=True,
        )
        self._llm.sleep(level=2)

    def write(
        self,
        module: nn.Module,
        tokenizer: Any,
        prompts: Sequence[tuple[int, ...]],
        settings: GenerationSettings,
        *,
        logprobs: bool = False,
    ) -> list[Generated]:
        """A reply to every prompt by the model as it is now, its adapter merged; as `burnish.models.generate.generate`,
        but for the random numbers, which follow from the seed in vLLM's own way.

        Raises: TrainError when the model holds weights that vLLM has no place for.
        """
        params = [
            self._params(
                temperature=settings.temperature,
                top_p=settings.top_p,
                max_tokens=min(settings.max_new_tokens, self._max_length - len(prompt)),
                seed=int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0]),
                stop_token_ids=sorted(stop_tokens(module, tokenizer)),
                logprobs=0 if logprobs else None,  # 0: of the drawn token alone, at temperature 1
                detokenize=False,
            )
            for number, prompt in enumerate(prompts)
        ]
        self._wake(module)
        try:
            asked = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
            answered = self._llm.generate(asked, params, use_tqdm=False)
        finally:
            self._llm.sleep(level=2)
        return [_generated(one.outputs[0], tokenizer, logprobs) for one in answered]

    def _wake(self, module: nn.Module) -> None:
        """Weights first, so that old and new ones are never there beside the cache."""
        self._llm.wake_up(tags=["weights"])
        with merged(module):
            weights = list(whole_weights(module))
            self._llm.apply_model(lambda model: model.load_weights(weights))
        self._llm.wake_up(tags=["kv_cache"])
        self._llm.reset_prefix_cache()


def whole_weights(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of a model whose adapter is merged, by the names that they have without an adapter.

    Raises: TrainError where an adapter keeps weights of another kind, which merging doesn't reach.
    """
    for name, weight in unwrapped(module).named_parameters():
        if any(part in name for part in _OF_ADAPTERS):
            continue
        if any(part in name for part in _REPLACED) or not weight.is_floating_point():
            raise TrainError(
                f"train.method.rollouts: vllm can't be handed {name}: it is neither a plain weight nor merged into "
                "one; training stopped, earlier checkpoints are intact",
                hint="set train.method.rollouts: own (for qlora and for model.add_tokens)",
            )
        yield name.replace(".base_layer.", "."), weight.data


def _generated(output: Any, tokenizer: Any, logprobs: bool) -> Generated:
    tokens = tuple(int(token) for token in output.token_ids)
    finish: Literal["stop", "length"] = "stop" if output.finish_reason == "stop" else "length"
    noted: tuple[float, ...] = ()
    if logprobs:
        noted = tuple(float(place[token].logprob) for token, place in zip(tokens, output.logprobs, strict=True))
    return Generated(tokens, tokenizer.decode(tokens, skip_special_tokens=True), finish, noted)
