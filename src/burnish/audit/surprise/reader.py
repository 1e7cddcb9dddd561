"""What a language model makes of each row in one forward pass: how surprising the prompt's tokens are, and the reply's
with and without the prompt, and where the reply lies in the model's own space.

Texts are read plainly, prompt, blank line, reply, since a chat template says nothing of either. The two readings of a
reply share one packed row. Knows nothing of groups of rows.

Axes: R rows, T tokens of a text, D hidden size. Surprise is in nats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch

from burnish.audit.surprise.reading import Floats, Reading
from burnish.models.anatomy import parts
from burnish.models.device import products
from burnish.models.groups import Completion, PromptGroup
from burnish.models.head import head_logprobs
from burnish.models.load import LoadedModel
from burnish.models.logprobs import target_states
from burnish.models.packing import Packed, arrange, lay_out

_PROMPT, _REPLY = 64, 64  # tokens that are read of each: its beginning and its end
_BETWEEN = "\n\n"
_TOKENS_AT_ONCE, _ROWS_AT_ONCE = 1024, 64


class Reader:
    """Reads rows with one model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        tokenizer = loaded.tokenizer
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        self._between = self._ids(_BETWEEN)
        self._first = first if isinstance(first, int) else self._between[0]

    def read(self, rows: Iterable[tuple[str, str]]) -> Iterator[Reading]:
        """A reading of each prompt and reply, in order; replies must not be empty."""
        passing = iter(rows)
        while some := list(islice(passing, _ROWS_AT_ONCE)):
            yield from self._some(some)

    @torch.no_grad()
    def _some(self, rows: Sequence[tuple[str, str]]) -> list[Reading]:
        texts = [(self._shortened(asked, _PROMPT), self._shortened(said, _REPLY)) for asked, said in rows]
        groups = [self._group(asked, said) for asked, said in texts]
        found: dict[int, Reading] = {}
        for chosen in arrange(groups, _TOKENS_AT_ONCE):
            surprise_T, states_TD = self._pass(lay_out([groups[index] for index in chosen]))
            start = 0
            for index in chosen:
                asked, said = texts[index]
                span = slice(start, start + groups[index].num_targets)
                found[index] = self._reading(asked, len(said), surprise_T[span], states_TD[span])
                start = span.stop
        return [found[index] for index in range(len(rows))]

    def _pass(self, row: Packed) -> tuple[Floats, Floats]:
        """Surprise of each target, and the state that predicts it."""
        with products(self._loaded.products):
            states_TD = target_states(self._loaded.model, row)
            logprobs_T = head_logprobs(parts(self._loaded.model), states_TD, row.targets_T.to(states_TD.device))
        return -logprobs_T.float().cpu().numpy(), states_TD.float().cpu().numpy()

    def _reading(self, asked: tuple[int, ...], length: int, surprise_T: Floats, states_TD: Floats) -> Reading:
        """From the targets of a row: prompt, separator, reply, and the reply again."""
        prompt, said = len(asked), len(asked) + len(self._between)
        alone = slice(said + length, said + 2 * length)
        return Reading(
            tokens=tuple(str(self._loaded.tokenizer.decode([token])) for token in asked),
            prompt_T=surprise_T[:prompt],
            with_T=surprise_T[said : said + length],
            without_T=surprise_T[alone],
            asked_D=states_TD[:prompt].mean(axis=0),
            said_D=states_TD[alone].mean(axis=0),
        )

    def _group(self, asked: tuple[int, ...], said: tuple[int, ...]) -> PromptGroup:
        both = (*asked, *self._between, *said)
        alone = (*self._between, *said)
        unread = (0.0,) * len(self._between)
        return PromptGroup(
            (self._first,),
            (Completion(both, (1.0,) * len(both)), Completion(alone, (*unread, *(1.0,) * len(said)))),
        )

    def _shortened(self, text: str, most: int) -> tuple[int, ...]:
        tokens = self._ids(text.strip())
        return tokens if len(tokens) <= most else (*tokens[: most // 2], *tokens[len(tokens) - most // 2 :])

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._loaded.tokenizer(text, add_special_tokens=False)["input_ids"])
