"""Which charts are made of a run's metrics, and in which order."""

from __future__ import annotations

from burnish.report.curves import curves, unmoved


def test_losses_are_together_and_counters_and_what_is_not_finite_left_out() -> None:
    metrics = [
        {"step": 1.0, "loss": 3.0, "tokens": 99.0, "grad_norm": float("inf")},
        {"step": 2.0, "loss": 2.0, "heldout_loss": 2.5, "grad_norm": 1.0},
    ]
    first, second = curves(metrics)
    assert first[0] == "Loss"
    assert [line.name for line in first[1]] == ["loss", "held-out loss"]
    assert first[1][0].points == ((1.0, 3.0), (2.0, 2.0))
    assert second[0] == "Grad norm"
    assert second[1][0].points == ((2.0, 1.0),)


def test_loss_reward_drift_and_throughput_come_first_and_nothing_is_left_out() -> None:
    names = ["loss", "grad_norm", "tokens_per_second", "kl", "rewards_chosen", "heldout_loss", "reward_margin"]
    found = curves([{"step": 1.0} | {name: float(place) for place, name in enumerate(names)}])
    assert [(title, [line.name for line in lines]) for title, lines in found] == [
        ("Loss", ["loss", "held-out loss"]),
        ("Reward", ["rewards chosen", "margin"]),
        ("Drift from the reference (KL)", ["kl"]),
        ("Throughput, tokens a second", ["tokens per second"]),
        ("Grad norm", ["grad norm"]),
    ]


def test_a_sum_of_one_reward_is_drawn_once_and_more_than_three_lines_go_on_in_another_chart() -> None:
    values = {"reward": 1.0, "reward_model": 1.0, "reward_b": 2.0, "reward_c": 3.0, "reward_d": 4.0}
    assert [[line.name for line in lines] for _, lines in curves([{"step": 1.0} | values])] == [
        ["reward = model", "b", "c"],
        ["d"],
    ]


def test_an_interval_is_drawn_with_its_number_and_other_units_apart() -> None:
    values = {
        "kl": 0.1, "kl_of_answer": 4.0, "kl_coefficient": 0.05, "heldout_reward": 1.0, "heldout_reward_spread": 0.5,
        "heldout_gain": 0.2, "heldout_gain_low": 0.1, "heldout_gain_high": 0.3,
    }  # fmt: skip
    assert [(title, [line.name for line in lines]) for title, lines in curves([{"step": 1.0} | values])] == [
        ("Held-out reward", ["held-out reward"]),
        ("Drift from the reference (KL)", ["kl"]),
        ("Held-out gain", ["held-out gain", "95% low", "95% high"]),
        ("KL of answer", ["kl of answer"]),
        ("KL coefficient", ["kl coefficient"]),
        ("Held-out reward spread", ["spread"]),
    ]


def test_what_never_moves_is_told_and_not_drawn_save_what_a_person_asks_for() -> None:
    still = {"kl_coefficient": 0.05, "reward": 0.0, "loss": 1.0, "heldout_gain": 0.0}
    ends = {"heldout_gain_low": -0.1, "heldout_gain_high": 0.1}
    metrics = [{"step": step, "entropy": step} | still | ends for step in (1.0, 2.0)]
    assert [title for title, _ in curves(metrics)] == ["Loss", "Reward", "Held-out gain", "Entropy"]
    assert unmoved(metrics) == (("KL coefficient", 0.05),)
    assert unmoved(metrics[:1]) == ()
    assert "KL coefficient" in [title for title, _ in curves(metrics[:1])]
