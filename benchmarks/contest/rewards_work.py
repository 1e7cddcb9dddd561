"""What both sides of `benchmarks/rlhf.py` get."""

from __future__ import annotations

BETA = 0.04
PASSES = 2  # that PPO learns from each rollout
LEARNING_RATE = 1e-5
REWARD = """
def near(answer):
    return -abs(len(answer) - 100) / 100
"""
_LONGEST = 1200  # characters


def questions(count: int) -> list[str]:
    """Prompts of the benchmark's preference data that aren't very long, in its order, over and over if there are too
    few."""
    from contest.workload import preferences

    short = [text for pair in preferences() if len(text := pair.prompt[-1].content) <= _LONGEST]
    return [short[number % len(short)] for number in range(count)]
