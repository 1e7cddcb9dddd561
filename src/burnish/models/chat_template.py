"""From a conversation to weighted tokens: the model's own chat template, and which tokens of it are trained.

The template is rendered once and tokenised once; an assistant turn is found by character offsets. Its end is found by
rendering the chat again with that turn's content replaced by a word that occurs nowhere else: what follows the word is
what the template writes after the turn, whatever the contents say. Its start is where the generation prompt ends, so
that a model is trained on exactly what it will be asked to continue. Template-like text inside a message, stripped
contents, default system prompts and dropped reasoning can't move a span.

Where a template has no place for a thing, it is put where every chat model reads it:

- no system role: the system text goes before the first user turn, with a blank line between;
- no tool role: a tool's result becomes a user turn that starts with "Tool result:";
- no tools: the schemas go into the system turn, after "You can call these tools:";
- no chat template at all: `PLAIN_TEMPLATE`, which is set on the tokenizer so that it is saved with it.

Knows nothing of methods, models or tensors.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from burnish.errors import ModelError, TrainError
from burnish.models.groups import Completion, PromptGroup
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Source

PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'].capitalize() + ':\\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:\\n' }}{% endif %}"
)
_WORD = "burnishmarker"
_TOOL_PREFIX = "Tool result:\n"
_TOOLS_PREFIX = "You can call these tools:\n"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A record as tokens, or the reason why there are none. `tokens_truncated` counts what `max_length` took."""

    group: PromptGroup | None
    dropped: str
    tokens_truncated: int
    source: Source


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A whole record before truncation: token ids, the weight of each, and its character span in `text`."""

    text: str
    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    offsets: tuple[tuple[int, int], ...]


class Encoder:
    """Turns records into weighted tokens for one tokenizer. `max_length` counts tokens, prompt and replies together.

    Raises: ModelError when the tokenizer gives no character offsets.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{_name(tokenizer)}: a tokenizer without character offsets; which tokens to train can't be told",
                hint="use a model that has a tokenizer.json",
            )
        if not tokenizer.chat_template:
            opening = "" if _added_first(tokenizer) is None else "{{ bos_token }}"
            tokenizer.chat_template = opening + PLAIN_TEMPLATE
        self.tokenizer = tokenizer
        self.max_length = max_length

    @cached_property
    def end_of_turn(self) -> int | None:
        """The token that the template writes after an assistant's turn, or None when it writes none."""
        return end_of_turn(self.tokenizer)

    def conversation(self, record: Conversation) -> Encoded:
        """The record as one prompt group of one completion: everything up to the first trained token is the prompt.

        Assistant turns weigh 1, with their end-of-turn token; all else, and turns with `trained=False`, weigh 0. Plain
        text weighs 1 throughout, ends with the end-of-sequence token, and its first token is the prompt. Truncation
        keeps the beginning. Untrained tokens after the last trained one are left out and not counted as truncated.

        Raises: ModelError when a turn can't be found in what the template made of the chat.
        """
        try:
            weighed = self._weigh(record)
        except TemplateError as error:
            return Encoded(None, f"the chat template refused it: {error}", 0, record.source)
        return _cut(weighed, self.max_length, record.source)

    def labelled(self, record: LabelledCompletion) -> Encoded:
        """The record as a group of one completion whose label is 1.0 where it is desirable, else 0.0. Only the
        completion weighs.

        Raises: ModelError as `conversation` does.
        """
        encoded = self.conversation(continued(record.prompt, record.completion, record.source))
        if encoded.group is None:
            return encoded
        (completion,) = encoded.group.completions
        labelled = replace(completion, label=float(record.desirable))
        return replace(encoded, group=replace(encoded.group, completions=(labelled,)))

    def pair(self, record: PreferencePair) -> Encoded:
        """The record as a group of two completions, the chosen one (label 1.0) first; the prompt is what both begin
        with, and never reaches into what weighs. Each side, with its prompt, has `max_length` tokens. A pair is dropped
        when either side has no token left to train on, or when both have come to be the same.

        Raises: ModelError as `conversation` does.
        """
        sides = [self.conversation(side) for side in pair_sides(record)]
        truncated = sum(side.tokens_truncated for side in sides)
        groups = [side.group for side in sides]
        for name, side in zip(("chosen", "rejected"), sides, strict=True):
            if side.group is None:
                return Encoded(None, f"{name}: {side.dropped}", truncated, record.source)
        group = _joined([group for group in groups if group is not None])
        if group.completions[0].tokens == group.completions[1].tokens:
            why = f"max_length {self.max_length} cuts it to" if truncated else "its tokens are"
            return Encoded(None, f"{why} the same for chosen and rejected", truncated, record.source)
        return Encoded(group, "", truncated, record.source)

    def prompt(self, messages: Sequence[Message], tools: str = "") -> tuple[int, ...]:
        """Token ids of a chat up to where the assistant's reply begins.

        Raises: ModelError when the template refuses the messages.
        """
        try:
            text = self._render(self._fit(messages, tools), tools, reply_next=True)
        except TemplateError as error:
            raise ModelError(
                f"{_name(self.tokenizer)}: the chat template refused a prompt: {error}",
                hint="most templates want user and assistant to take turns, the user first",
            ) from error
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _weigh(self, record: Conversation) -> _Weighed:
        if not record.messages:
            return self._weigh_text(record.text)
        messages = self._fit(record.messages, record.tools)
        text = self._render(messages, record.tools)
        spans = [
            self._span(messages, index, text, record)
            for index, message in enumerate(messages)
            if message.role == "assistant" and message.trained
        ]
        encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = tuple((int(start), int(stop)) for start, stop in encoding["offset_mapping"])
        weights = tuple(float(any(_meets(offset, span) for span in spans)) for offset in offsets)
        return _Weighed(text, tuple(encoding["input_ids"]), weights, offsets)

    def _weigh_text(self, text: str) -> _Weighed:
        encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        tokens = list(encoding["input_ids"])
        offsets = [(int(start), int(stop)) for start, stop in encoding["offset_mapping"]]
        first, last = _added_first(self.tokenizer), self.tokenizer.eos_token_id
        if first is not None and tokens[:1] != [first]:
            tokens.insert(0, first)
            offsets.insert(0, (0, 0))
        if last is not None and tokens[-1:] != [last]:
            tokens.append(last)
            offsets.append((len(text), len(text)))
        return _Weighed(text, tuple(tokens), (0.0,) + (1.0,) * (len(tokens) - 1), tuple(offsets))

    def _span(self, messages: Sequence[Message], index: int, text: str, record: Conversation) -> tuple[int, int]:
        """Characters of `text` that the reply at `index` takes: from where generation would begin, to the end of its
        end-of-turn token."""
        word = _WORD
        while any(word in message.content for message in messages) or word in record.tools:
            word += "x"
        replaced = [*messages[:index], Message("assistant", word), *messages[index + 1 :]]
        before, _, after = self._render(replaced, record.tools).partition(word)
        opening = self._opening(messages[:index], record.tools)
        start = next((len(part) for part in (opening, before) if part and text.startswith(part)), None)
        stop = len(text) - len(after)
        if start is None or not text.endswith(after) or stop < start:
            raise ModelError(
                f"{record.source}: assistant turn {index + 1} can't be found in what the chat template of "
                f"{_name(self.tokenizer)} made of it, so which tokens to train can't be told; nothing was trained",
                hint="mark the turn as untrained, or give the tokenizer a chat template that keeps every turn",
            )
        rest = text[stop:]
        gap = len(rest) - len(rest.lstrip())
        ending = "" if self.end_of_turn is None else self.tokenizer.convert_ids_to_tokens(self.end_of_turn)
        return start, stop + gap + len(ending) if ending and rest.startswith(ending, gap) else stop

    def _opening(self, messages: Sequence[Message], tools: str) -> str:
        """The chat up to where the next reply begins; empty when the template won't render it."""
        try:
            return self._render(messages, tools, reply_next=True) if messages else ""
        except TemplateError:
            return ""

    def _render(self, messages: Sequence[Message], tools: str, *, reply_next: bool = False) -> str:
        return _render(self.tokenizer, messages, tools if tools and self._takes_tools else "", reply_next)

    def _fit(self, messages: Sequence[Message], tools: str) -> tuple[Message, ...]:
        """The messages in roles that the template knows."""
        fitted = list(messages)
        if not self._takes_tool_role:
            fitted = [Message("user", _TOOL_PREFIX + m.content) if m.role == "tool" else m for m in fitted]
        if tools and not self._takes_tools:
            said = fitted.pop(0).content + "\n\n" if fitted and fitted[0].role == "system" else ""
            fitted.insert(0, Message("system", said + _TOOLS_PREFIX + tools))
        first_two = [m.role for m in fitted[:2]]
        if first_two == ["system", "user"] and not self._takes_system:
            system, user = fitted[:2]
            fitted[:2] = [Message("user", f"{system.content}\n\n{user.content}")]
        return tuple(fitted)

    @cached_property
    def _takes_system(self) -> bool:
        return _shows(self.tokenizer, [Message("system", _WORD), Message("user", "a")])

    @cached_property
    def _takes_tool_role(self) -> bool:
        return _shows(self.tokenizer, [Message("user", "a"), Message("assistant", "b"), Message("tool", _WORD)])

    @cached_property
    def _takes_tools(self) -> bool:
        schema = {"type": "function", "function": {"name": _WORD, "description": "", "parameters": {}}}
        return _shows(self.tokenizer, [Message("user", "a")], json.dumps([schema]))


def end_of_turn(tokenizer: Any) -> int | None:
    """The token that a chat template writes after an assistant's turn: the first one after the reply, white space
    aside, if it is a token that was added to the vocabulary or ends sequences. None when there is no such token."""
    chat = [Message("user", "a"), Message("assistant", _WORD)]
    try:
        text = _render(tokenizer, chat, "", False)
    except TemplateError:
        return None
    after = text.partition(_WORD)[2].lstrip()
    tokens = tokenizer(after, add_special_tokens=False)["input_ids"] if after else []
    known = {*tokenizer.added_tokens_decoder, tokenizer.eos_token_id}
    return int(tokens[0]) if tokens and tokens[0] in known else None


def continued(prompt: Sequence[Message], completion: Sequence[Message], source: Source) -> Conversation:
    """A chat of which the completion alone is trained."""
    return Conversation((*(replace(message, trained=False) for message in prompt), *completion), source)


def pair_sides(record: PreferencePair) -> tuple[Conversation, Conversation]:
    """The two chats that a pair stands for, the chosen one first."""
    return (
        continued(record.prompt, record.chosen, record.source),
        continued(record.prompt, record.rejected, record.source),
    )


def check(encoder: Encoder, rows: Sequence[Encoded]) -> None:
    """Refuse a run that would train nothing, never teach the model to stop, or begin every row with two
    begin-of-sequence tokens. `rows` is a sample, or all rows.

    Raises: TrainError saying which of these it is.
    """
    groups = [row.group for row in rows if row.group is not None]
    if groups and not any(group.completions for group in groups):
        return  # prompts alone: what is trained is yet to be written
    if not groups:
        reasons = sorted({row.dropped for row in rows})
        raise TrainError(
            f"{rows[0].source if rows else 'training rows'}: no row has a token to train on "
            f"({'; '.join(reasons[:3]) or 'there are no rows'}); nothing was trained",
            hint="look at `burnish preview`, and raise train.max_length if rows are cut before the first reply",
        )
    _check_ending(encoder, groups, rows)
    first = encoder.tokenizer.bos_token_id
    for row in rows:
        if first is not None and row.group is not None and _opening_tokens(row.group) == (first, first):
            raise TrainError(
                f"{row.source}: the row begins with two {encoder.tokenizer.bos_token} tokens; nothing was trained",
                hint="take the token out of the data, or out of the chat template",
            )


def preview(encoder: Encoder, record: Conversation) -> list[tuple[str, float]]:
    """The text as the model will read it, in runs of equal weight: (text, weight). Truncation is applied.

    Raises: ModelError as `Encoder.conversation` does, and when the template refuses the chat.
    """
    try:
        weighed = encoder._weigh(record)
    except TemplateError as error:
        raise ModelError(f"{record.source}: the chat template refused it: {error}") from error
    runs: list[tuple[str, float]] = []
    done = 0
    for token, weight, (start, stop) in list(zip(weighed.tokens, weighed.weights, weighed.offsets, strict=True))[
        : encoder.max_length
    ]:
        unseen = encoder.tokenizer.convert_ids_to_tokens(token) if start == stop else ""
        piece = weighed.text[done:stop] or unseen
        done = max(done, stop)
        if runs and runs[-1][1] == weight:
            runs[-1] = (runs[-1][0] + piece, weight)
        elif piece:
            runs.append((piece, weight))
    return runs


def _check_ending(encoder: Encoder, groups: Sequence[PromptGroup], rows: Sequence[Encoded]) -> None:
    wanted = {encoder.end_of_turn, encoder.tokenizer.eos_token_id} - {None}
    trained = {
        token
        for group in groups
        for completion in group.completions
        for token, weight in zip(completion.tokens, completion.weights, strict=True)
        if weight
    }
    if trained & wanted:
        return
    names = ", ".join(encoder.tokenizer.convert_ids_to_tokens(sorted(wanted))) or "any end-of-turn token"
    raise TrainError(
        f"{rows[0].source} and on: no row trains {names}, so the model would never learn to stop; nothing was trained",
        hint="raise train.max_length if every row is cut, or use a chat template that ends a turn with its own token",
    )


def _cut(weighed: _Weighed, max_length: int, source: Source) -> Encoded:
    trained = [index for index, weight in enumerate(weighed.weights) if weight]
    if not trained:
        return Encoded(None, "it has no token to train on", 0, source)
    last, first = trained[-1] + 1, max(1, trained[0])
    kept = min(last, max_length)
    if kept <= first:
        return Encoded(None, f"max_length {max_length} cuts it before the first token to train on", last - kept, source)
    completion = Completion(weighed.tokens[first:kept], weighed.weights[first:kept])
    return Encoded(PromptGroup(weighed.tokens[:first], (completion,)), "", last - kept, source)


def _joined(sides: Sequence[PromptGroup]) -> PromptGroup:
    """Two groups of one completion as one group of two. A tokenizer may join a prompt's last character to a reply's
    first, so the prompts can differ at their end; what isn't common to both goes to the completions, weighing nothing.
    """
    first, second = (side.prompt for side in sides)
    shared = next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(map(len, (first, second)))
    )
    completions = []
    for label, side in zip((1.0, 0.0), sides, strict=True):
        rest = side.prompt[shared:]
        (own,) = side.completions
        completions.append(Completion((*rest, *own.tokens), (0.0,) * len(rest) + own.weights, label))
    return PromptGroup(first[:shared], tuple(completions))


def _meets(offset: tuple[int, int], span: tuple[int, int]) -> bool:
    """Whether a token lies in a span; one that spans its start (a space joined to the first word) does."""
    return span[0] <= offset[0] < span[1] or offset[0] < span[0] < offset[1]


def _opening_tokens(group: PromptGroup) -> tuple[int, ...]:
    first = group.completions[0].tokens[:1] if group.completions else ()
    return (*group.prompt[:2], *first)[:2]


def _added_first(tokenizer: Any) -> int | None:
    """The begin-of-sequence token, where this tokenizer puts one before plain text by itself."""
    first = tokenizer.bos_token_id
    return first if first is not None and tokenizer("a")["input_ids"][:1] == [first] else None


def _render(tokenizer: Any, messages: Sequence[Message], tools: str, reply_next: bool) -> str:
    chat = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text = tokenizer.apply_chat_template(
            chat, tools=json.loads(tools) if tools else None, tokenize=False, add_generation_prompt=reply_next
        )
    except (TypeError, KeyError, ValueError) as error:
        raise TemplateError(f"{type(error).__name__}: {error}") from error
    return str(text)


def _shows(tokenizer: Any, messages: Sequence[Message], tools: str = "") -> bool:
    """Whether the template renders these messages and the word in them."""
    try:
        return _WORD in _render(tokenizer, messages, tools, False)
    except TemplateError:
        return False


def _name(tokenizer: Any) -> str:
    return str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)
