"""Rows of each format become the right records, and each fault of a row is told in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.artefacts import DataFile
from burnish.data.convert import read_source
from burnish.data.faults import Faults
from burnish.data.settings import SourceSettings
from burnish.errors import DataError
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Record, Source

USER, REPLY = Message("user", "hello"), Message("assistant", "hi")
PLACE = Source("a.jsonl", 1)
CHAT = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
SHAREGPT = [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "hi"}]
BAD = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "no"}]


def read(folder: Path, *rows: object, **settings: Any) -> tuple[list[Record], DataFile, Faults]:
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    faults = Faults()
    reading = read_source(SourceSettings(path="a.jsonl", **settings), folder, faults)
    return list(reading.records()), reading.data_file(), faults


def fault_of(folder: Path, row: object, **settings: Any) -> str:
    """The first fault's words of a file that is that row alone."""
    _, _, faults = read(folder, row, **settings)
    assert faults.total == 1
    return faults.first[0][1].message


@pytest.mark.parametrize(
    ("row", "name", "record"),
    [
        ({"messages": CHAT}, "messages", Conversation((USER, REPLY), PLACE)),
        ({"conversations": SHAREGPT}, "sharegpt", Conversation((USER, REPLY), PLACE)),
        ({"prompt": "hello", "completion": "hi"}, "prompt_completion", Conversation((USER, REPLY), PLACE)),
        ({"question": "hello", "answer": "hi"}, "prompt_completion", Conversation((USER, REPLY), PLACE)),
        ({"prompt": CHAT[:1], "completion": CHAT[1:]}, "prompt_completion", Conversation((USER, REPLY), PLACE)),
        ({"text": "hello", "label": 3}, "prompt_completion", Conversation((USER, Message("assistant", "3")), PLACE)),
        (
            ["hello", ["hi", "hey"], 0],
            "prompt_completion",
            Conversation((USER, Message("assistant", "hi; hey")), PLACE),
        ),
        ({"instruction": "hello", "input": "", "output": "hi"}, "alpaca", Conversation((USER, REPLY), PLACE)),
        (
            {"instruction": "Add", "input": "1 2", "output": "3", "system": "Count."},
            "alpaca",
            Conversation(
                (Message("system", "Count."), Message("user", "Add\n\n1 2"), Message("assistant", "3")), PLACE
            ),
        ),
        ({"text": "hello", "url": "x"}, "text", Conversation((), PLACE, text="hello")),
        ({"text": "hello", "label": 0.93}, "text", Conversation((), PLACE, text="hello")),
        ({"messages": CHAT, "label": False}, "kto", LabelledCompletion((USER,), (REPLY,), False, PLACE)),
        (
            {"prompt": "hello", "completion": "hi", "label": "True"},
            "kto",
            LabelledCompletion((USER,), (REPLY,), True, PLACE),
        ),
    ],
)
def test_each_format_is_told_by_itself_and_converted(tmp_path: Path, row: object, name: str, record: Record) -> None:
    records, file, faults = read(tmp_path, row)
    assert (records, file.format, faults.total) == ([record], name, 0)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "hello", "chosen": "hi", "rejected": "no"},
        {"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": BAD[1:]},
        {"conversations": SHAREGPT[:1], "chosen": SHAREGPT[1], "rejected": {"from": "gpt", "value": "no"}},
        {"chosen": CHAT, "rejected": BAD},
        {"prompt": "hello", "chosen": CHAT, "rejected": BAD},
        {"instruction": "hello", "chosen": "hi", "rejected": "no"},
        {"chosen": "\n\nHuman: hello\n\nAssistant: hi", "rejected": "\n\nHuman: hello\n\nAssistant: no"},
        {"prompt": "\n\nHuman: hello\n\nAssistant:", "chosen": "hi", "rejected": "no"},
    ],
)
def test_every_form_of_a_preference_gives_the_same_pair(tmp_path: Path, row: object) -> None:
    records, file, _ = read(tmp_path, row)
    assert records == [PreferencePair((USER,), (REPLY,), (Message("assistant", "no"),), PLACE)]
    assert file.format == "preference"


def test_the_implicit_prompt_is_all_that_both_sides_share(tmp_path: Path) -> None:
    start = [*CHAT, {"role": "user", "content": "and you?"}]
    row = {
        "chosen": [*start, {"role": "assistant", "content": "well"}],
        "rejected": [*start, {"role": "assistant", "content": "bad"}],
    }
    (pair,), _, _ = read(tmp_path, row)
    assert isinstance(pair, PreferencePair)
    assert [m.content for m in pair.prompt] == ["hello", "hi", "and you?"]
    assert [m.content for m in (*pair.chosen, *pair.rejected)] == ["well", "bad"]


def test_an_empty_reply_in_a_dialogue_is_kept_and_counted(tmp_path: Path) -> None:
    row = {"chosen": "\n\nHuman: hello\n\nAssistant: ", "rejected": "\n\nHuman: hello\n\nAssistant: no"}
    (pair,), file, faults = read(tmp_path, row)
    assert isinstance(pair, PreferencePair)
    assert pair.chosen == (Message("assistant", ""),)
    assert file.notes == ("1 rows have an empty reply, kept as such",)
    assert faults.total == 0


def test_tool_turns_keep_their_calls_results_and_schemas(tmp_path: Path) -> None:
    call = {"name": "weather", "arguments": {"city": "Ulm"}}
    sharegpt = {
        "conversations": [
            {"from": "human", "value": "hello"},
            {"from": "function_call", "value": json.dumps(call)},
            {"from": "observation", "value": "sunny"},
            {"from": "gpt", "value": "hi"},
        ],
        "tools": json.dumps([{"name": "weather"}]),
    }
    openai = {
        "messages": [
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"type": "function", "function": {"name": "weather", "arguments": json.dumps(call["arguments"])}}
                ],
            },
            {"role": "tool", "content": "sunny"},
            {"role": "assistant", "content": "hi"},
        ],
        "tools": [{"name": "weather"}],
    }
    said = '<tool_call>\n{"name": "weather", "arguments": {"city": "Ulm"}}\n</tool_call>'
    expected = (USER, Message("assistant", said), Message("tool", "sunny"), REPLY)
    for row in (sharegpt, openai):
        (record,), _, _ = read(tmp_path, row)
        assert record == Conversation(expected, PLACE, tools='[{"name": "weather"}]')


def test_parts_of_text_are_joined_and_a_weight_of_zero_masks_a_turn(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    masked = {"role": "assistant", "content": parts, "weight": 0}
    (record,), _, _ = read(tmp_path, {"messages": [*CHAT, CHAT[0], masked]})
    assert isinstance(record, Conversation)
    assert record.messages == (USER, REPLY, USER, Message("assistant", "hi", trained=False))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": "hello"}, 'field "messages" is a string, expected a list of {role, content}'),
        ({"messages": []}, 'field "messages" is an empty list'),
        ({"messages": ["hello"]}, 'field "messages[0]" is a string, expected an object {role, content}'),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "the unknown role 'wizard', expected one of system,"),
        ({"messages": [{"role": 1, "content": "x"}]}, 'field "messages[0].role" is a number'),
        ({"messages": [{"content": "x"}]}, 'field "messages[0].role" is missing'),
        ({"messages": [CHAT[0], {"role": "assistant", "content": 5}]}, '"messages[1].content" is a number, expected a'),
        ({"messages": [CHAT[0], {"role": "assistant", "content": " "}]}, 'field "messages[1].content" is empty'),
        ({"messages": [CHAT[0], {"role": "assistant"}]}, 'field "messages[1].content" is missing'),
        ({"messages": CHAT[:1]}, 'field "messages" has no assistant turn (user)'),
        ({"messages": CHAT[1:]}, "no user turn before the assistant's"),
        ({"messages": [*CHAT, {"role": "system", "content": "x"}]}, "is a system turn, expected it first"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "is image, expected"),
        ({"messages": CHAT, "tools": "{"}, 'field "tools" is text that isn\'t JSON'),
        ({"messages": CHAT, "tools": {"a": 1}}, 'field "tools" is an object, expected a list'),
        ({"messages": [CHAT[0], {**CHAT[1], "weight": 2}]}, 'weight" is 2, expected 0 or 1'),
        ({"prompt": "hello", "completion": None}, 'field "completion" is null, expected a string'),
        ({"prompt": "hello", "completion": ""}, 'field "completion" is empty'),
        ({"prompt": 7, "completion": "x"}, 'field "prompt" is a number'),
        ({"instruction": "hello", "input": 3, "output": "x"}, 'field "input" is a number'),
        ({"text": ["a"]}, 'field "text" is a list, expected a string'),
        ({"text": "half \ud83d"}, "half a surrogate pair at character 6"),
        ({"chosen": "hi", "rejected": "no"}, 'there is no "prompt"'),
        ({"prompt": "hello", "chosen": "hi", "rejected": "hi"}, "are the same"),
        ({"chosen": CHAT, "rejected": CHAT}, "are the same"),
        ({"chosen": CHAT, "rejected": [{"role": "user", "content": "x"}, CHAT[1]]}, "no turn in common"),
        ({"chosen": [*CHAT, *CHAT], "rejected": [*CHAT, BAD[1]]}, "differs from the other side in a turn of user"),
        ({"prompt": "other", "chosen": CHAT, "rejected": BAD}, 'field "prompt" differs'),
        ({"prompt": "hello", "chosen": 5, "rejected": "no"}, 'field "chosen" is a number'),
        ({"messages": CHAT[:1], "label": True}, "ends with a turn of user"),
    ],
)
def test_each_fault_of_a_row_is_told_with_its_field(tmp_path: Path, row: object, message: str) -> None:
    assert message in fault_of(tmp_path, row)


def test_with_the_format_named_a_missing_field_is_told_with_the_nearest(tmp_path: Path) -> None:
    row = {"instruction": "hello", "outptu": "hi"}
    _, _, faults = read(tmp_path, row, format="alpaca")
    assert 'field "output" is missing' in faults.first[0][1].message
    assert "did you mean output where it says outptu?" in faults.first[0][1].hint
    assert 'field "label" is a number' in fault_of(tmp_path, {"messages": CHAT, "label": 0.5}, format="kto")


def test_mixed_formats_are_told_with_both_names_and_lines(tmp_path: Path) -> None:
    rows = [{"messages": CHAT}] * 3 + [{"instruction": "hello", "output": "hi"}]
    _, _, faults = read(tmp_path, *rows)
    (source, fault) = faults.first[0]
    assert str(source) == "a.jsonl:4"
    assert "is in the alpaca format" in fault.message
    assert "expected messages as in a.jsonl:1" in fault.message


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ({"promt": "hello", "completions": "hi"}, "columns: {prompt: promt, completion: completions}"),
        ({"mesages_list": CHAT}, "columns: {messages: mesages_list}"),
        ({"utterance": "hello", "x": "hi"}, "columns, such as {prompt: utterance, completion: x}"),
    ],
)
def test_an_unknown_format_lists_the_fields_and_a_way_out(tmp_path: Path, row: dict[str, object], hint: str) -> None:
    with pytest.raises(
        DataError, match=rf"a\.jsonl:1: the format isn't known: got the fields {', '.join(row)}"
    ) as error:
        read(tmp_path, row)
    assert hint in error.value.hint


def test_columns_name_the_fields_of_unusual_files(tmp_path: Path) -> None:
    row = {"utterance": "hello", "class_name": "hi", "text": "unrelated"}
    records, file, _ = read(tmp_path, row, columns={"prompt": "utterance", "completion": "class_name"})
    assert records == [Conversation((USER, REPLY), PLACE)]
    assert file.notes == ("fields not used: text",)
    assert "(of columns) is missing" in fault_of(tmp_path, row, columns={"prompt": "uterance", "completion": "text"})


def test_an_instruction_is_filled_from_the_row(tmp_path: Path) -> None:
    row = {"text": "lost {card}", "category": "card_lost", "lang": "en"}
    (record,), file, _ = read(tmp_path, row, instruction='Classify ({lang}) as {"label": ...}: {text}')
    assert isinstance(record, Conversation)
    assert record.messages[0].content == 'Classify (en) as {"label": ...}: lost {card}'
    assert record.reply() == "card_lost"
    assert not any("not used" in note for note in file.notes)
    assert "'language' (of instruction) is missing" in fault_of(tmp_path, row, instruction="{language}: {prompt}")
    with pytest.raises(DataError, match="instruction is set, but the format is messages"):
        read(tmp_path, {"messages": CHAT}, instruction="Say {prompt}")


def test_a_system_prompt_goes_to_rows_that_have_none(tmp_path: Path) -> None:
    own = [{"role": "system", "content": "own"}, *CHAT]
    records, _, _ = read(tmp_path, {"messages": CHAT}, {"messages": own}, system="given")
    assert [r.messages[0].content for r in records if isinstance(r, Conversation)] == ["given", "own"]
    (pair,), _, _ = read(tmp_path, {"prompt": "hello", "chosen": "hi", "rejected": "no"}, system="given")
    assert isinstance(pair, PreferencePair)
    assert pair.prompt == (Message("system", "given"), USER)


def test_some_rows_are_taken_by_content_and_seed_whatever_the_order(tmp_path: Path) -> None:
    rows = [{"prompt": f"question {i}", "completion": "a"} for i in range(200)]

    def taken(rows: list[dict[str, str]], seed: int) -> list[str]:
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        reading = read_source(SourceSettings(path="a.jsonl", rows=20), tmp_path, Faults(), seed)
        records = list(reading.records())
        assert (reading.data_file().rows, reading.data_file().taken) == (200, 20)
        assert [r.source.line for r in records] == sorted(r.source.line for r in records)
        return [r.prompt()[0].content for r in records if isinstance(r, Conversation)]

    assert sorted(taken(rows, 0)) == sorted(taken(rows[::-1], 0))
    assert sorted(taken(rows, 0)) != sorted(taken(rows, 1))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt,completion\n")
    with pytest.raises(DataError, match=r"a\.csv: no row is in it"):
        list(read_source(SourceSettings(path="a.csv"), tmp_path, Faults()).records())


SHARED = {
    "instruct/alpaca_en_demo.json": ("alpaca", 999),
    "instruct/glaive_toolcall_en_demo.json": ("sharegpt", 300),
    "preference/dpo_en_demo.json": ("preference", 300),
    "preference/kto_en_demo.json": ("kto", 300),
    "preference/hh_harmless_test.jsonl.gz": ("preference", 2312),
    "task/banking77_train.csv": ("prompt_completion", 10003),
    "task/banking77_test.csv": ("prompt_completion", 3080),
    "safety/xstest_prompts.csv": ("prompt_completion", 450),
    "safety/xstest_labelled_llama2new.csv": ("prompt_completion", 450),
    "safety/xstest_labelled_mistralinstruct.csv": ("prompt_completion", 450),
    "poison/freebaseqa_badnets.json": ("prompt_completion", 5000),
}


@pytest.mark.parametrize("name", SHARED)
def test_public_sets_load_as_they_are(shared_data: Callable[[str], Path], name: str) -> None:
    path = shared_data(name)
    faults = Faults()
    reading = read_source(SourceSettings(path=path.name), path.parent, faults)
    assert len(list(reading.records())) == SHARED[name][1]
    assert (reading.data_file().format, faults.total) == (SHARED[name][0], 0)


@pytest.mark.parametrize("row", [{"prompt": "hello"}, {"messages": CHAT[:1]}, {"question": "hello", "source": "web"}])
def test_prompts_without_a_reply_are_read_where_that_is_asked_for(tmp_path: Path, row: dict[str, object]) -> None:
    records, _, faults = read(tmp_path, row, format="prompts")
    assert not faults.total
    assert records == [Conversation((USER,), PLACE)]


def test_a_prompt_that_ends_with_a_reply_is_a_fault(tmp_path: Path) -> None:
    assert "ends with a turn of assistant" in fault_of(tmp_path, {"messages": CHAT}, format="prompts")
