"""Few-shot examples: from training rows, by hash, never a held-out prompt."""

from __future__ import annotations

from burnish.evaluate.few_shot import Example, choose, example_of, with_examples
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Source

HERE = Source("rows.jsonl", 1)


def chat(*contents: str, system: str = "") -> Conversation:
    roles = ("user", "assistant")
    head = (Message("system", system),) if system else ()
    return Conversation((*head, *(Message(roles[i % 2], c) for i, c in enumerate(contents))), HERE)  # type: ignore[arg-type]


ROWS = [chat(f"question {i}", f"answer {i}") for i in range(300)]


def test_the_same_whatever_the_order() -> None:
    chosen = choose(ROWS, 4, seed=3)
    assert len(chosen) == 4
    assert choose(ROWS[::-1], 4, seed=3) == chosen
    assert choose(ROWS, 8, seed=3)[:4] == chosen
    assert choose(ROWS, 4, seed=4) != chosen


def test_never_a_held_out_prompt_nor_one_twice() -> None:
    heldout = choose(ROWS, 200, seed=0)
    chosen = choose(ROWS + ROWS, 400, seed=0, apart_from=heldout)
    assert len(chosen) == 100
    assert not {example.question for example in chosen} & {example.question for example in heldout}


def test_a_repeated_prompt_is_taken_once() -> None:
    rows = [chat("the same", f"answer {i}") for i in range(50)]
    assert len(choose(rows, 5, seed=0)) == 1


def test_rows_without_a_wanted_reply_are_no_examples() -> None:
    user, said = (Message("user", "q"),), (Message("assistant", "a"),)
    assert example_of(Conversation((), HERE, text="plain text")) is None
    assert example_of(chat("question alone")) is None
    assert example_of(LabelledCompletion(user, said, False, HERE)) is None
    assert example_of(chat("q", "  ")) is None
    good = example_of(LabelledCompletion(user, said, True, HERE))
    better = example_of(PreferencePair(user, said, (Message("assistant", "b"),), HERE))
    assert good is not None
    assert better is not None
    assert good.reference == better.reference == "a"


def test_examples_are_turns_after_the_system_turn() -> None:
    examples = [Example((Message("user", "q1"),), "a1", "", "d1"), Example((Message("user", "q2"),), "a2", "", "d2")]
    turns = with_examples(chat("q", "a", system="be brief").prompt(), examples)
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [turn.content for turn in turns] == ["be brief", "q1", "a1", "q2", "a2", "q"]
