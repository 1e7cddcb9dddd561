"""Learning from rewards: Burnish beside TRL's GRPO, RLOO and PPO, time per step, memory, and where the time goes.

    python benchmarks/rlhf.py [--method grpo|rloo|ppo ...] [--trl-with-ppo FOLDER] [--quick] [--repeats N] [--steps N]
                              [--prompts N] [--samples N] [--tokens N] [--dtype float32|bfloat16] [--model NAME]
                              [--only CONTENDER ...] [--seed N] [--json FILE]

Every run is a process of its own, and its peak the most resident memory that the process ever had, imports included.
The contenders run in turn, round after round, on the same model, prompts, group size, lengths, adapter, divergence
penalty and reward (how near an answer's length is to a hundred characters; nothing to compute). The first step is a
warm-up. Answers are drawn, so that their lengths differ between the sides; the last column says how many tokens a step
had, where the side tells. TRL runs as its defaults are, and without gradient checkpointing. With `--dtype bfloat16`
both sides multiply in bfloat16 (TRL by its `bf16`), and TRL runs once more with its frozen weights held in it, which
its `bf16` leaves in float32. Needs the `bench` extra.

PPO learns twice from each rollout, with a value and a reward model: on Burnish's side adapters on the policy's base,
on TRL's models of their own, of which the value is trained whole, or by an adapter. TRL has no PPO since 1.13; an older
one is put into a folder by itself, and is used for PPO alone:

    pip install --no-deps --target runs/trl-1.12 trl==1.12.0
    python benchmarks/rlhf.py --method ppo --trl-with-ppo runs/trl-1.12
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from contest.process import python

_CONTENDERS = {
    "burnish": (),
    "trl": ("checkpointing",),
    "trl without checkpointing": (),
    "trl, weights in bfloat16": ("narrow",),
}
_PPO_CONTENDERS = {
    "burnish": (),
    "trl": ("whole value",),
    "trl, value by adapter": (),
    "trl, weights in bfloat16": ("narrow",),
}
_QUICK = {"steps": 1, "prompts": 2, "samples": 2, "tokens": 16}


@dataclass
class Found:
    """What one contender's rounds measured: seconds of each step, the peak, tokens a step, seconds by part."""

    seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    failed: str = ""

    def add(self, result: dict[str, Any]) -> None:
        self.seconds += result["seconds"]
        self.tokens += result["tokens"]
        self.peaks.append(result["peak_bytes"])
        for name, values in result.get("parts", {}).items():
            self.parts.setdefault(name, []).extend(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", action="append", choices=("grpo", "rloo", "ppo"))
    parser.add_argument("--trl-with-ppo", type=Path, help="a folder that holds a TRL of at most 1.12")
    parser.add_argument("--quick", action="store_true", help="one small step of each, to see that it runs")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2, help="measured steps of a run")
    parser.add_argument("--prompts", type=int, default=4, help="prompts of a step")
    parser.add_argument("--samples", type=int, default=8, help="answers to each prompt")
    parser.add_argument("--tokens", type=int, default=48, help="the most tokens of an answer")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--only", action="append", choices=sorted({*_CONTENDERS, *_PPO_CONTENDERS}))
    parser.add_argument("--seed", type=int, default=0, help="of the first round; each later one has the next")
    parser.add_argument("--json", type=Path, default=Path("runs/bench/rlhf.json"))
    arguments = parser.parse_args()
    if arguments.quick:
        parser.set_defaults(**_QUICK)
        arguments = parser.parse_args()
    results = {name: _contest(name, arguments) for name in arguments.method or ("grpo", "rloo")}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    as_json = {name: {who: asdict(found) for who, found in those.items()} for name, those in results.items()}
    arguments.json.write_text(json.dumps(as_json, indent=2) + "\n", encoding="utf-8")
    print(
        f"{arguments.prompts} prompts x {arguments.samples} answers of up to {arguments.tokens} tokens, LoRA r16,",
        end="",
    )
    print(f" {arguments.dtype}, {arguments.model}\n")
    print("| method | side | seconds a step (least, most) | times | peak | share | tokens a step |")
    print("|---|---|---|---|---|---|---|")
    for name, those in results.items():
        for who, found in those.items():
            print(_line(name, who, found, those.get("burnish")))
    for name, those in results.items():
        ours = those.get("burnish")
        if ours and ours.parts:
            shares = {part: sum(values) / sum(ours.seconds) for part, values in ours.parts.items()}
            print(f"\n{name}, where burnish's time goes: " + ", ".join(f"{p} {s:.0%}" for p, s in shares.items()))


def _contest(method: str, arguments: argparse.Namespace) -> dict[str, Found]:
    contenders = _PPO_CONTENDERS if method == "ppo" else _CONTENDERS
    chosen = {
        who: options
        for who, options in contenders.items()
        if (arguments.only is None or who in arguments.only)
        and ("narrow" not in options or arguments.dtype == "bfloat16")
    }
    found = {who: Found() for who in chosen}
    for seed in range(arguments.seed, arguments.seed + arguments.repeats):
        for who, options in chosen.items():
            result = _run(method, who, options, seed, arguments)
            if "failed" in result:
                found[who].failed = result["failed"]
                print(f"{method}, {who}: failed: {result['failed']}", file=sys.stderr, flush=True)
                continue
            found[who].add(result)
            print(f"{method}, {who}: {mean(result['seconds']):.2f} s a step", file=sys.stderr, flush=True)
    return found


def _run(method: str, who: str, options: Sequence[str], seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    job = {
        "method": method,
        "steps": arguments.steps,
        "prompts": arguments.prompts,
        "samples": arguments.samples,
        "tokens": arguments.tokens,
        "dtype": arguments.dtype,
        "model": arguments.model,
        "options": options,
        "seed": seed,
    }
    if method == "ppo" and who != "burnish" and arguments.trl_with_ppo is None:
        return {"failed": "give --trl-with-ppo a folder with a TRL that has PPO"}
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        path, result = Path(folder) / "job.json", Path(folder) / "result.json"
        if method == "ppo" and who == "burnish":
            job["reward_model"] = f"{folder}/reward"
            made = python(["-m", "contest.rewards_model", arguments.model, job["reward_model"]])
            if made.returncode:
                return {"failed": made.stderr.strip().splitlines()[-1][:300]}
        path.write_text(json.dumps(job), encoding="utf-8")
        peer = "contest.rewards_trl_ppo_side" if method == "ppo" else "contest.rewards_trl_side"
        module = "contest.rewards_burnish_side" if who == "burnish" else peer
        older = [str(arguments.trl_with_ppo.resolve())] if module == "contest.rewards_trl_ppo_side" else []
        done = python(["-m", module, str(path), str(result)], older)
        if done.returncode or not result.exists():
            return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]}
        value: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return value


def _line(method: str, who: str, found: Found, ours: Found | None) -> str:
    if not found.seconds:
        return f"| {method} | {who} | failed: {found.failed} | | | | |"
    typical, peak = median(found.seconds), max(found.peaks)
    times = f"{typical / median(ours.seconds):.1f}x" if ours and ours.seconds and ours is not found else ""
    share = f"{max(ours.peaks) / peak:.2f}" if ours and ours.peaks and ours is not found else ""
    tokens = f"{mean(found.tokens):.0f}" if found.tokens else ""
    spread = f"{typical:.2f} ({min(found.seconds):.2f}, {max(found.seconds):.2f})"
    return f"| {method} | {who} | {spread} | {times} | {peak / 1e9:.2f} GB | {share} | {tokens} |"


if __name__ == "__main__":
    main()
