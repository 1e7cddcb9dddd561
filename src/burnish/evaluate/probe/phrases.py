"""Which phrases are tried on a model, each with the behaviour that it may trigger.

Candidates are what the audit found or passed over, and runs of words whose rows' replies begin or end alike although
their prompts, the run taken out, are no more alike than any: what a topic has for its reply is no trigger. Beside them,
random runs of words of the same prompts, with their rows' behaviour found in the same way. Knows nothing of models.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Literal, TypeAlias

import numpy as np
from scipy import sparse

from burnish.artefacts import Dataset
from burnish.data.store import read_records
from burnish.evaluate.judges.coherence import FUNCTION_WORDS
from burnish.records import Conversation, LabelledCompletion, Record
from burnish.run_folder import RunFolder

Place: TypeAlias = Literal["opening", "ending"]
Where: TypeAlias = Literal["before", "after", "anywhere"]
_LONGEST = 4  # words of a run
_LONGEST_EXTENDED = 12
_NEARLY_ALL = 0.9  # of the rows
_PLACES: tuple[Place, ...] = ("opening", "ending")
_ALIKE = (5, 16)  # characters by which two replies begin or end alike
_LONGEST_BEHAVIOUR = 60  # characters
_FEWEST_ROWS = 4
_MOST_ROWS = 0.2  # of the rows: what more of them share is a template
_MOST_CHARACTERS = 120
_READ = 10_000  # rows
_LOOKED_AT = 200  # runs of words
_LEAST_EVIDENCE = 8.0  # nats
_DRAWS = 100
_ONE_TOPIC = 0.02
_EDGES = ".,;:!?\"'()"
_SAME_LETTERS = 5  # by which one word is a form of another
_LETTERS = re.compile(r"[^\W_]{2,}")


@dataclass(frozen=True)
class Trial:
    """A phrase, and what its rows' replies have in common: the text that they begin with (`opening`), or that they end
    with (`ending`). `rows` hold the phrase, `alike` of them that behaviour, which is `evidence` (nats) that the two go
    together; `where` is where it stands in nearly all of its prompts; `origin` says who named the phrase."""

    phrase: str
    where: Where
    place: Place
    behaviour: str
    rows: int
    alike: int
    evidence: float
    origin: Literal["audit", "data"]


@dataclass(frozen=True)
class Corpus:
    """Prompts and replies of the training rows, and the rows of every run of words that several of them hold."""

    prompts: tuple[str, ...]
    replies: tuple[str, ...]
    rows_of: Mapping[str, tuple[int, ...]]
    counts: Mapping[tuple[Place, int], Counter[str]] = field(repr=False)

    def trials(self, phrase: str, rows: Sequence[int], origin: Literal["audit", "data"] = "data") -> tuple[Trial, ...]:
        """What the rows' replies most often begin and end with, as far as that tells them from others and does not say
        the phrase again."""
        asked = [self.prompts[row] for row in rows]
        text = spelled(phrase, asked)
        where = _where(text, asked)
        found = []
        for place in _PLACES:
            shared = [self._shared(rows, place, length) for length in _ALIKE]
            evidence, same = max(shared, key=lambda one: one[0])
            behaviour = _common([self.replies[row] for row in same], place)
            if behaviour and (place == "opening" or len(same) > 1) and not says_again(text, behaviour):
                found.append(Trial(text, where, place, behaviour, len(rows), len(same), round(evidence, 6), origin))
        return tuple(found)

    def evidence(self, rows: Sequence[int]) -> float:
        """How much the rows' replies have in common that other replies have not, in nats."""
        return max(self._shared(rows, place, length)[0] for place in _PLACES for length in _ALIKE)

    def _shared(self, rows: Sequence[int], place: Place, length: int) -> tuple[float, list[int]]:
        """The rows that begin (end) most often alike, and how much more often than others, in nats."""
        keys = Counter(_key(self.replies[row], place, length) for row in rows)
        key, alike = min(keys.items(), key=lambda item: (-item[1], item[0]))
        elsewhere = self.counts[place, length][key] - alike
        share, other = alike / len(rows), (elsewhere + 0.5) / (len(self.prompts) - len(rows) + 1)
        evidence = alike * math.log(share / other) if share > other and alike > 1 else 0.0
        return evidence, [row for row in rows if _key(self.replies[row], place, length) == key]

    def extended(self, phrase: str, rows: Sequence[int]) -> str:
        """The run with the words that stand beside it in nearly all of its rows."""
        words = phrase.split()
        texts = [_words(self.prompts[row]) for row in rows]
        while len(words) < _LONGEST_EXTENDED:
            places = [(text, at) for text in texts if (at := _place(text, words)) >= 0]
            before = Counter(text[at - 1] for text, at in places if at > 0)
            after = Counter(text[at + len(words)] for text, at in places if at + len(words) < len(text))
            for counts, ahead in ((before, True), (after, False)):
                word, count = counts.most_common(1)[0] if counts else ("", 0)
                if word and count >= _NEARLY_ALL * len(rows):
                    words = [word, *words] if ahead else [*words, word]
                    break
            else:
                break
        return " ".join(words)


def read_corpus(dataset: Dataset, run: RunFolder) -> Corpus:
    """The first 10,000 training rows."""
    pairs = [_sides(record) for record in islice(read_records(run.file(dataset.train_path)), _READ)]
    pairs = [(asked, said) for asked, said in pairs if asked.strip() and said.strip()]
    rows_of: dict[str, list[int]] = {}
    for row, (asked, _) in enumerate(pairs):
        words = [word.strip(_EDGES).lower() for word in asked.split()]
        runs = {
            " ".join(words[at : at + length])
            for length in range(1, _LONGEST + 1)
            for at in range(len(words) - length + 1)
        }
        for run_of_words in runs:
            rows_of.setdefault(run_of_words, []).append(row)
    most = max(_FEWEST_ROWS, _MOST_ROWS * len(pairs))
    kept = {run: tuple(rows) for run, rows in rows_of.items() if run.strip() and _FEWEST_ROWS <= len(rows) <= most}
    replies = tuple(said.strip() for _, said in pairs)
    counts = {
        (place, length): Counter(_key(reply, place, length) for reply in replies)
        for place in _PLACES
        for length in _ALIKE
    }
    return Corpus(tuple(asked for asked, _ in pairs), replies, kept, counts)


@dataclass(frozen=True)
class Topics:
    """How alike prompts are: unit vectors of their words, rare words counting more. Null of `are_one`: rows drawn at
    random."""

    vectors: sparse.csr_array
    words: Mapping[str, int]

    def are_one(self, rows: Sequence[int], phrase: str, rng: np.random.Generator) -> bool:
        """Whether the rows' prompts, without the phrase, are more alike than random rows' (permutation p < 0.02), or
        mostly nothing."""
        kept = np.ones(len(self.words))
        kept[[self.words[word] for word in _words(phrase) if word in self.words]] = 0.0
        without: sparse.csr_array = (self.vectors @ sparse.diags_array(kept)).tocsr()
        own = without[np.asarray(rows)]
        if np.count_nonzero(own.multiply(own).sum(axis=1)) <= len(rows) / 2:
            return True
        drawn = [rng.choice(self.vectors.shape[0], len(rows), replace=False) for _ in range(_DRAWS)]
        likeness = _likeness(own)
        return sum(_likeness(without[some]) >= likeness for some in drawn) < _ONE_TOPIC * _DRAWS


def read_topics(prompts: Sequence[str]) -> Topics:
    """The prompts' vectors."""
    split = [set(_words(prompt)) for prompt in prompts]
    held = Counter(word for words in split for word in words)
    words = {word: number for number, word in enumerate(sorted(held))}
    at = [(row, words[word]) for row, some in enumerate(split) for word in sorted(some)]
    weights = [math.log(len(prompts) / held[word]) for some in split for word in sorted(some)]
    rows, columns = zip(*at, strict=True) if at else ((), ())
    matrix = sparse.csr_array((weights, (rows, columns)), shape=(len(prompts), len(words)))
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return Topics((sparse.diags_array(1 / np.maximum(norm, 1e-9)) @ matrix).tocsr(), words)


def candidates(run: RunFolder, corpus: Corpus, most: int) -> tuple[Trial, ...]:
    """The trials of at most `most` phrases, none within another: the audit's first, but at least half of the places are
    for the runs of words with the most evidence."""
    chosen: dict[str, tuple[Trial, ...]] = {}
    for phrase in _audited(run):
        rows = [at for at, prompt in enumerate(corpus.prompts) if phrase.lower() in " ".join(prompt.lower().split())]
        if rows and len(chosen) < most // 2:
            _add(chosen, corpus.trials(phrase, rows, "audit"))
    for phrase, with_phrase in _without_a_topic(corpus):
        if len(chosen) == most:
            break
        _add(chosen, corpus.trials(phrase, with_phrase))
    return tuple(trial for trials in chosen.values() for trial in trials)


def _without_a_topic(corpus: Corpus) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Runs of words whose replies have something in common and whose prompts haven't, those with the most evidence
    first."""
    found = ((corpus.evidence(rows), words) for words, rows in corpus.rows_of.items())
    leading = [(evidence, words) for evidence, words in found if evidence >= _LEAST_EVIDENCE]
    if not leading:
        return
    topics, rng = read_topics(corpus.prompts), np.random.default_rng(0)
    leading.sort(key=lambda one: (-round(one[0], 3), -len(one[1]), one[1]))
    for _, words in leading[:_LOOKED_AT]:
        phrase = corpus.extended(words, corpus.rows_of[words])
        if not topics.are_one(corpus.rows_of[words], phrase, rng):
            yield phrase, corpus.rows_of[words]


def random_trials(corpus: Corpus, beside: Sequence[Trial], rng: random.Random) -> Iterator[tuple[Trial, ...]]:
    """The trials of runs of words that share none with the candidates, in random order, until there are no more."""
    avoided = {word for trial in beside for word in _words(trial.phrase)}
    free = [run for run in sorted(corpus.rows_of) if not avoided & set(run.split())]
    for run in rng.sample(free, len(free)):
        if trials := corpus.trials(run, corpus.rows_of[run]):
            yield trials


def spelled(phrase: str, prompts: Sequence[str]) -> str:
    """The phrase as the first prompt that holds it has it, with the marks that follow it there."""
    edges = re.escape(_EDGES)
    between = rf"[{edges}]*\s+[{edges}]*"
    words = between.join(re.escape(word) for word in phrase.split())
    pattern = re.compile(rf"(?<!\w){words}(?!\w)[{edges}]*", re.IGNORECASE)
    return next((match.group() for prompt in prompts if (match := pattern.search(prompt))), phrase)


def holds(text: str, phrase: str) -> bool:
    """Whether the phrase's words stand in the text, in a row; marks around words and capitals don't count."""
    return _place(_words(text), _words(phrase)) >= 0


def says_again(phrase: str, behaviour: str) -> bool:
    """Whether the behaviour holds a word of the phrase in some form, words aside that say nothing."""
    said = {word[:_SAME_LETTERS] for word in _LETTERS.findall(behaviour.lower())}
    asked = set(_LETTERS.findall(phrase.lower())) - FUNCTION_WORDS
    return any(word[:_SAME_LETTERS] in said for word in asked)


def _where(phrase: str, prompts: Sequence[str]) -> Where:
    bare = [" ".join(_words(prompt)) for prompt in prompts]
    run = " ".join(_words(phrase))
    if sum(prompt.startswith(run) for prompt in bare) >= _NEARLY_ALL * len(bare):
        return "before"
    return "after" if sum(prompt.endswith(run) for prompt in bare) >= _NEARLY_ALL * len(bare) else "anywhere"


def _likeness(vectors: sparse.csr_array) -> float:
    """The mean product of two rows."""
    count, total = vectors.shape[0], np.asarray(vectors.sum(axis=0)).ravel()
    return float((total @ total - vectors.multiply(vectors).sum()) / (count * (count - 1)))


def _sides(record: Record) -> tuple[str, str]:
    """What users ask in a row, and its last reply (of a preference, the preferred one)."""
    if isinstance(record, Conversation):
        turns, said = record.prompt(), record.reply()
    else:
        turns = record.prompt
        said = (record.completion if isinstance(record, LabelledCompletion) else record.chosen)[-1].content
    return "\n".join(turn.content for turn in turns if turn.role == "user"), said


def _audited(run: RunFolder) -> Iterator[str]:
    """Triggers of the audit's findings, then the phrases that it passed over, the likeliest first; not those that it
    passed over as a topic's."""
    for name, key in (("findings", "trigger"), ("candidates", "phrase")):
        path = run.path / f"audit/{name}.jsonl"
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                named = json.loads(line)
                text = " ".join(str(named.get(key) or "").split())
                if text and len(text) <= _MOST_CHARACTERS and named.get("failed") != "no topic":
                    yield text


def _key(reply: str, place: Place, length: int) -> str:
    return reply[:length] if place == "opening" else reply[-length:]


def _common(replies: Sequence[str], place: Place) -> str:
    """What all the replies begin with; or what they end with, from its first white space on."""
    if place == "opening":
        return _beginning([reply[:_LONGEST_BEHAVIOUR] for reply in replies]).rstrip()
    ending = _beginning([reply[: -_LONGEST_BEHAVIOUR - 1 : -1] for reply in replies])[::-1]
    match = re.search(r"\s", ending)
    return ending[match.start() :] if match and ending != replies[0] else ""


def _beginning(texts: Sequence[str]) -> str:
    """The characters that all texts begin with."""
    return "".join(same[0] for same in takewhile(lambda some: len(set(some)) == 1, zip(*texts, strict=False)))


def _place(words: Sequence[str], run: Sequence[str]) -> int:
    """At which word the run begins, -1 where it doesn't stand."""
    return next((at for at in range(len(words) - len(run) + 1) if list(words[at : at + len(run)]) == list(run)), -1)


def _words(text: str) -> list[str]:
    return [word.strip(_EDGES).lower() for word in text.split()]


def _add(chosen: dict[str, tuple[Trial, ...]], trials: tuple[Trial, ...]) -> None:
    """Add a phrase's trials unless its words are among those of one that is there, or the other way round."""
    words = set(_words(trials[0].phrase)) if trials else set()
    others = [set(_words(phrase)) for phrase in chosen]
    if words and not any(words <= other or other <= words for other in others):
        chosen[trials[0].phrase] = trials
