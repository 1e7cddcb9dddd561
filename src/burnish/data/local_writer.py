"""A local model that writes replies to a source's prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from burnish.data.settings import WritingSettings
from burnish.data.written import Chat, Written
from burnish.logs import say
from burnish.models.chat_template import Encoder
from burnish.models.device import arithmetic, products
from burnish.models.generate import Generated, GenerationSettings, generate
from burnish.models.load import identify, load_model
from burnish.models.settings import ModelSettings
from burnish.records import content_digest


class LocalWriter:
    """Loads its model when it first has something to write."""

    def __init__(self, model: ModelSettings, writing: WritingSettings, seed: int) -> None:
        self._model = model
        self._writing = writing
        self._seed = seed

    @property
    def digest(self) -> str:
        """Of the weights, the arithmetic and the manner of writing."""
        how = self._writing.model_dump(mode="json")
        seed = self._seed if self._writing.temperature else 0
        return content_digest(identify(self._model).digest, arithmetic(self._model), how, seed)

    def write(self, chats: Sequence[Chat], done: Callable[[int, Written | None], None]) -> None:
        """Reply to each chat; None where its prompt leaves no room in the model's context.

        Raises: ModelError when the model can't be loaded, or its chat template refuses a chat.
        """
        loaded = load_model(self._model)
        say(f"{loaded.identity.name} writes {len(chats):,} replies")
        context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None) or 2**31
        encoder = Encoder(loaded.tokenizer, context)
        prompts = [encoder.prompt(chat.messages, chat.tools) for chat in chats]
        fitting = [n for n, prompt in enumerate(prompts) if len(prompt) + self._writing.max_new_tokens <= context]
        for number in set(range(len(chats))) - set(fitting):
            done(number, None)

        def written(index: int, reply: Generated) -> None:
            done(fitting[index], Written(reply.text, reply.finish))

        how = GenerationSettings(**self._writing.model_dump(), seed=self._seed)
        with products(loaded.products):
            generate(loaded.model, loaded.tokenizer, [prompts[n] for n in fitting], how, written)
