"""Another language around the prompt."""

from __future__ import annotations

from typing import get_args

from burnish.evaluate.attacks.language import Language, LanguageSettings, OtherLanguage


def test_every_language_has_words_of_its_own_around_the_whole_prompt() -> None:
    languages = get_args(Language)
    attack = OtherLanguage(LanguageSettings(languages=languages))
    asked = [attack.ask(name, "What is {x}?").turns[0].content for name in attack.names]
    assert len(set(asked)) == len(languages)
    assert all(text.endswith("\n\nWhat is {x}?") for text in asked)
