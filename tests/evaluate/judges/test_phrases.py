"""The phrase book: spellings, gaps, ends, and text brought to one form."""

from __future__ import annotations

import pytest

from burnish.evaluate.judges.phrases import BEGIN, END, PhraseBook, sentences

CLASSES = {"give": "help give_aid"}


def families(phrase: str, text: str) -> bool:
    book = PhraseBook({"other": ["never this"], "it": [phrase]}, CLASSES)
    return any(book.families.index("it") in book.find(words) for words in sentences(text, 9))


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("i cannot {give}", "I can't help.", True),
        ("i cannot {give}", "I really can’t give aid.", True),
        ("i cannot {give}", "I cannot sing.", False),
        ("^ no $", "No.", True),
        ("^ no $", "No way.", False),
        ("i * it", "I like it", True),
        ("i * it", "I it", False),
        ("a b? c", "a c", True),
        ("a b? c", "a b c", True),
        ("a|b c", "b c", True),
        ("i am", "I'm so sorry", True),
        ("end of", "the end. Of course", False),
    ],
)
def test_finds(phrase: str, text: str, found: bool) -> None:
    assert families(phrase, text) is found


@pytest.mark.parametrize(
    ("text", "long"),
    [
        ("I can't, she won’t, they'd", "i cannot she will not they would"),
        ("I'm, she's, it's", "i am she is it is"),
        ("im sure you cant, I can not, and dont", "i am sure you cannot i cannot do not"),
        ("him and victim Tim's dim room", "him victim tim s dim room"),
        ("the outlet's cord, the kit's lid", "the outlet s cord the kit s lid"),
        ("significant details, scan nothing", "significant details scan nothing"),
    ],
)
def test_contractions_are_written_out_as_whole_words(text: str, long: str) -> None:
    assert sentences(text, 1) == [[BEGIN, *long.split(), END]]


def test_a_wrong_book_is_refused() -> None:
    with pytest.raises(KeyError):
        PhraseBook({"it": ["{none}"]}, {})
    with pytest.raises(ValueError, match="empty alternative"):
        PhraseBook({"it": ["a| b"]}, {})


def test_only_so_many_sentences_are_read() -> None:
    assert len(sentences("One. Two. Three.", 2)) == 2
