"""Fixtures that every test may use: a tiny random chat model on disk, the real small model, the shared data, and a
scripted OpenAI-compatible server.

Everything is made once per session; a test that changes a model folder copies it first.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from burnish.artefacts import (
    RESPONSE_COLUMNS,
    Arm,
    Companion,
    CompanionArm,
    Evaluation,
    Losses,
    ModelIdentity,
    SuiteResult,
    TrainedModel,
)
from burnish.run_folder import RunFolder, file_digest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TOKENISER_CORPUS = (
    "You are a helpful assistant. What is the capital of France? The capital of France is Paris.",
    "How do I open a bank account? I am sorry, but I cannot help with that request.",
    "Write a short story about a dog and a cat. Once upon a time there was a dog, and there was a cat.",
    "system user assistant tool 0 1 2 3 4 5 6 7 8 9 yes no true false",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what plain peft does to plain transformers, which no change here can mend."""
    config.addinivalue_line("filterwarnings", "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A function that gives the path of a file under shared/data, or skips the test when it isn't there."""

    def find(relative: str) -> Path:
        path = SHARED_DATA / relative
        if not path.exists():
            pytest.skip(f"the shared test data isn't beside this checkout ({relative} missing)")
        return path

    return find


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary safetensors folder: random two-layer Llama (hidden 64, grouped-query heads, tied embeddings), a
    byte-level BPE tokeniser trained here, a ChatML template without a default system turn."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TOKENISER_CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=1024,
    )
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(20250101)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of the real built-in model, pulled into the user's cache if need be; skips when it can't be had."""
    from burnish.errors import ModelError
    from burnish.models.builtin import pull

    try:
        return pull("smollm2-135m-instruct")
    except ModelError as error:
        pytest.skip(f"the built-in model can't be had here: {error.message}")


Answer = tuple[int, dict[str, str], bytes]
"""What the scripted server answers: status, headers, body."""


class ChatServer(ThreadingHTTPServer):
    """Gives the scripted answers in turn, the last one for ever, or whatever `answer` makes of a request's body; keeps
    what it was sent. `stall` cleared, it answers nothing; `most_at_once` is how many requests it had open together."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ChatHandler)
        self.script: list[Answer] = []
        self.answer: Callable[[dict[str, Any]], Answer] | None = None
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        self.stall = threading.Event()
        self.stall.set()
        self.lock = threading.Lock()
        self.open = self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @staticmethod
    def completion(text: str, tokens: tuple[int, int] = (100, 20), finish: str = "stop") -> Answer:
        usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
        choice = {"message": {"content": text}, "finish_reason": finish}
        return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()


class _ChatHandler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        server = self.server
        body = {"path": self.path, **json.loads(self.rfile.read(int(self.headers["Content-Length"])))}
        with server.lock:
            server.open += 1
            server.most_at_once = max(server.most_at_once, server.open)
            server.bodies.append(body)
            server.headers.append(self.headers.get("Authorization"))
            scripted = server.script.pop(0) if len(server.script) > 1 else (server.script or [None])[0]
        server.stall.wait(10)
        status, headers, content = server.answer(body) if server.answer else scripted
        with server.lock:
            server.open -= 1
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """An OpenAI-compatible server on this machine, up for one test."""
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.stall.set()
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Measured:
    """What `recorded_run` writes: each suite's kind and its (base verdict, tuned verdict) pairs, the task's
    (base score, tuned score) pairs, families by suite (default: each prompt its own), the gate's settings, and by suite
    the verdicts of a teacher and of a sibling, where there are such."""

    suites: dict[str, tuple[str, list[tuple[str, str]]]]
    task: list[tuple[float | None, float | None]] = field(default_factory=list)
    families: dict[str, list[str]] = field(default_factory=dict)
    gate: dict[str, object] = field(default_factory=dict)
    higher_is_better: bool = True
    model: str = "a-model"
    teacher: dict[str, list[str]] = field(default_factory=dict)
    sibling: dict[str, list[str]] = field(default_factory=dict)

    @property
    def companions(self) -> dict[CompanionArm, dict[str, list[str]]]:
        both: dict[CompanionArm, dict[str, list[str]]] = {"teacher": self.teacher, "sibling": self.sibling}
        return {arm: verdicts for arm, verdicts in both.items() if verdicts}


@pytest.fixture
def recorded_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """A function that writes the run folder of a finished evaluation (keywords: those of `Measured`), with no real
    weights unless a `TrainedModel` is given."""

    def write(trained: TrainedModel | None = None, name: str = "run", **parts: Any) -> RunFolder:
        measured = Measured(**parts)
        run = RunFolder(tmp_path / name)
        trained = trained or _trained()
        rows = [row for suite in measured.suites for row in _suite_rows(suite, measured)] + _task_rows(measured)
        schema = {column: pl.Float64 if column == "score" else pl.String for column in RESPONSE_COLUMNS}
        pl.DataFrame(rows, schema=schema).write_parquet(run.file("evaluate/responses.parquet"))
        recipe = {"name": name, "model": {"name": measured.model}, "gate": measured.gate, "release": {}}
        run.write_text("recipe.yaml", json.dumps(recipe))
        run.save("train/train.json", trained)
        run.save("evaluate/evaluation.json", _evaluation(measured, trained, run))
        return run

    return write


def _trained() -> TrainedModel:
    return TrainedModel(
        method="sft",
        adapter="lora",
        base=ModelIdentity(name="a-model", path="/models/a-model", digest="b" * 64),
        path="train/adapter",
        form="adapter",
        digest="a" * 64,
        steps=10,
        epochs=1.0,
        tokens_trained=1000,
        tokens_seen=2000,
        seconds=1.0,
        first_loss=2.0,
        last_loss=1.0,
        losses=Losses(rows_seen=100, rows_trained=90, rows_quarantined=10),
    )


def _suite_rows(suite: str, measured: Measured) -> list[dict[str, object]]:
    kind, pairs = measured.suites[suite]
    families = measured.families.get(suite, [f"family-{index}" for index in range(len(pairs))])
    beside = [
        (index, arm, verdict)
        for arm, suites in measured.companions.items()
        for index, verdict in enumerate(suites.get(suite, []))
    ]
    both = [(index, arm, v) for index, pair in enumerate(pairs) for arm, v in zip(("base", "tuned"), pair, strict=True)]
    return [
        {
            "suite": suite, "kind": kind, "prompt_id": f"p{index:05}", "family": families[index], "category": "any",
            "arm": arm, "prompt": f"question {index}", "reply": f"{arm} reply {index}", "reference": "",
            "verdict": verdict, "score": None, "finish": "stop", "side": "sealed",
        }
        for index, arm, verdict in (*both, *beside)
    ]  # fmt: skip


def _task_rows(measured: Measured) -> list[dict[str, object]]:
    return [
        {
            "suite": "task", "kind": "task", "prompt_id": f"t{index:05}", "family": f"t{index:05}", "category": "all",
            "arm": arm, "prompt": f"question {index}", "reply": "an answer", "reference": "an answer", "verdict": "",
            "score": score, "finish": "stop", "side": "sealed",
        }
        for index, pair in enumerate(measured.task)
        for arm, score in zip(("base", "tuned"), pair, strict=True)
    ]  # fmt: skip


def _evaluation(measured: Measured, trained: TrainedModel, run: RunFolder) -> Evaluation:
    arms: tuple[Arm, ...] = ("base", "tuned")
    results = []
    for name, (kind, pairs) in measured.suites.items():
        for index, arm in enumerate(arms):
            counts = dict(Counter(pair[index] for pair in pairs))
            results.append(SuiteResult(suite=name, kind=kind, arm=arm, n=len(pairs), counts=counts))
        for companion, suites in measured.companions.items():
            counts = dict(Counter(suites.get(name, [])))
            total = len(suites.get(name, []))
            results.append(SuiteResult(suite=name, kind=kind, arm=companion, n=total, counts=counts))
    if measured.task:
        for arm in arms:
            results.append(
                SuiteResult(
                    suite="task", kind="task", arm=arm, n=len(measured.task), metric="exact_match",
                    higher_is_better=measured.higher_is_better, mean=0.5, interval=(0.4, 0.6),
                )
            )  # fmt: skip
    return Evaluation(
        base=trained.base,
        tuned_digest=trained.digest,
        judge="refusal",
        judge_digest="c" * 64,
        results=tuple(results),
        responses_digest=file_digest(run.file("evaluate/responses.parquet")),
        suite_digests={result.suite: "d" * 64 for result in results},
        generation={"temperature": 0.0},
        seconds=1.0,
        replies_generated=10,
        replies_cached=0,
        companions=tuple(
            Companion(
                arm=arm,
                model=ModelIdentity(name=f"a-{arm}", path=f"/models/{arm}", digest=arm[0] * 64),
                dtype="float32",
            )
            for arm in measured.companions
        ),
    )
