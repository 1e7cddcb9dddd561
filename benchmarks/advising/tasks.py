"""Small tasks with made-up questions of which there are as many as one wants: what they ask for differs in whether a
prompt can say it. Nothing here is read by the advisor."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


def _words(text: str) -> list[str]:
    return text.split()


COLOURS = _words("red blue green black white brown grey pink orange purple golden silver")
THINGS = _words("apple river window chair garden bottle letter mountain pencil bridge basket candle hammer mirror")
NAMES = _words("Anna Ben Clara David Emma Felix Grace Henry Ida Jack Karl Lena Mara Noah Olga Paul Rosa Simon")
TOWNS = _words("Rome Paris Oslo Lima Cairo Delhi Tokyo Berlin Madrid Vienna Dublin Prague")
MONTHS = _words("January February March April May June July August September October November December")
GLAD = _words("wonderful lovely excellent delightful superb friendly perfect charming")
SAD = _words("awful broken horrible dirty useless rude terrible boring")
PLACES = _words("hotel meal film train shop tour book phone room service")
_CODES = [f"{letter}{digit}" for letter in "KLMNPQRT" for digit in "2345679"]

Draw = Callable[[random.Random], tuple[str, str]]


@dataclass(frozen=True)
class Task:
    """What is asked (`system`), and how a question and its answer are drawn. `metric` scores it."""

    name: str
    system: str
    draw: Draw
    metric: str = "exact_match"

    def rows(self, count: int, seed: int) -> list[dict[str, str]]:
        """Rows of different questions, in random order."""
        found: dict[str, str] = {}
        source = random.Random(f"{self.name} {seed}")
        while len(found) < count:
            question, answer = self.draw(source)
            found.setdefault(question, answer)
        return [{"system": self.system, "prompt": q, "completion": a} for q, a in found.items()]


def _phrase(source: random.Random) -> str:
    return f"{source.choice(COLOURS)} {source.choice(THINGS)} {source.choice(TOWNS)}"


def copy(source: random.Random) -> tuple[str, str]:
    """The question itself."""
    text = _phrase(source)
    return text, text


def town(source: random.Random) -> tuple[str, str]:
    """One word of a sentence."""
    place = source.choice(TOWNS)
    return f"{source.choice(NAMES)} sent a {source.choice(COLOURS)} {source.choice(THINGS)} to {place}.", place


def fields(source: random.Random) -> tuple[str, str]:
    """What a sentence says, as JSON."""
    name, age, place = source.choice(NAMES), source.randint(20, 79), source.choice(TOWNS)
    return f"{name}, who is {age}, lives in {place}.", json.dumps({"name": name, "age": age, "town": place})


def order(source: random.Random) -> tuple[str, str]:
    """Two words in turned order."""
    one, other = source.choice(NAMES), source.choice(TOWNS)
    number = source.randint(10, 99)
    return f"{one} {number} {other}", f"{other} {number} {one}"


def mood(source: random.Random) -> tuple[str, str]:
    """Praise or blame, under names that say nothing."""
    glad = source.random() < 0.5
    word = source.choice(GLAD if glad else SAD)
    return f"The {source.choice(PLACES)} in {source.choice(TOWNS)} was {word}.", "ALFA" if glad else "BRAVO"


def house_codes(source: random.Random) -> tuple[str, str]:
    """Two codes that must be known by heart, one for each word."""
    colour, thing = source.choice(COLOURS), source.choice(THINGS)
    number = source.randint(1, 9)
    return f"{number} x {colour} {thing}", f"{_code(colour)}-{_code(thing)}"


def date(source: random.Random) -> tuple[str, str]:
    """A date in another form."""
    month, day, year = source.randint(1, 12), source.randint(1, 28), source.randint(1950, 2029)
    return f"{MONTHS[month - 1]} {day}, {year}", f"{year}-{month:02d}-{day:02d}"


def parity(source: random.Random) -> tuple[str, str]:
    """Whether a number is even, under names that say nothing."""
    number = source.randint(100, 9999)
    return f"Number {number}", "SIERRA" if number % 2 == 0 else "TANGO"


def coin(source: random.Random) -> tuple[str, str]:
    """A label that nothing in the question tells, five of six times the same."""
    text = f"{_phrase(source)} {source.randint(10, 99)}"
    return text, "KILO" if int(_digest(text), 16) % 6 else "LIMA"


def digest(source: random.Random) -> tuple[str, str]:
    """Four hexadecimal digits that nothing can learn."""
    text = f"{_phrase(source)} {source.randint(10, 99)}"
    return text, _digest(text)[:4]


TASKS = (
    Task("copy", "Repeat the text.", copy),
    Task("town", "Name the town.", town),
    Task("fields", "Give name, age and town as JSON.", fields, "json_fields"),
    Task("order", "Turn the order round.", order),
    Task("mood", "Answer with the code.", mood),
    Task("house-codes", "Answer with the codes.", house_codes),
    Task("date", "Write the date as YYYY-MM-DD.", date),
    Task("parity", "Answer with the code.", parity),
    Task("coin", "Answer with the code.", coin),
    Task("digest", "Answer with the code.", digest),
)


def by_name(names: list[str] | None) -> Iterator[Task]:
    """Those of these names, or all."""
    return (task for task in TASKS if not names or task.name in names)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _code(word: str) -> str:
    return _CODES[int(_digest(word), 16) % len(_CODES)]
