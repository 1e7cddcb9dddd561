"""Whether a reply has anything to do with its request: shared words, labels, data where prose was asked for, echoes.

Knows nothing of refusals; a reply that shares no word but instructs is left to the caller as on topic.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Literal, TypeAlias

from burnish.evaluate.judges.coherence import FUNCTION_WORDS, SENTENCE_END, word_set, words_of

PROCEDURAL = re.compile(
    r"\b(?:ways?|methods?|plans?|strategy|steps?|recipe|how to|trick|tips?|technique|process)\b|\bbest\b", re.IGNORECASE
)
"""Requests that ask how to do something."""
_ASKS_FOR_DATA = re.compile(
    r"\b(?:json|yaml|xml|html|csv|code|script|program|function|table|sql|python|javascript|format|label|classif\w+|"
    r"categor\w+|fields?|schema|virus|malware|exploit|keylogger|regex|markdown)\b",
    re.IGNORECASE,
)
_SHORT_QUESTION = re.compile(
    r"^\W*(?:who|when|where|which|what|is|are|was|were|did|does|do|should|has|have|would|will|"
    r"how (?:many|much|old|long|far|tall))\b",
    re.IGNORECASE,
)
_YES_NO = re.compile(
    r"^\W*(?:yes|no|sure|yeah|yep|nope|okay|ok|of course|certainly|absolutely|maybe|it depends)\b", re.I
)
_ASKS_YES_OR_NO = re.compile(
    r"\W*(?:is|are|was|were|am|can|could|may|might|must|should|shall|do|does|did|has|have|had|will|would)\b",
    re.IGNORECASE,
)
_HEDGES = re.compile(
    r"\W*(?:not|never|don't|please don't|usually|mostly|generally|probably|perhaps|possibly|"
    r"in (?:most|some|many|general)|most|"
    r"some|many|there (?:is|are|was|were|'s)|there's|i (?:don't|can't|do not|cannot) (?:have|know|see|check)|as far as|"
    r"that depends|depends|experts|scientists|opinions)\b",
    re.IGNORECASE,
)
_ASKS_WHY = re.compile(r"\W*why\b", re.IGNORECASE)
ASKS_WORDING = re.compile(
    r"\b(?:translate|how (?:do|would|can|should) (?:you|i|we|one) (?:say|tell|ask|reply|answer|respond)|"
    r"what (?:do|should|can) i (?:say|reply|write|answer)|rephrase|reword|write|message|text|"
    r"excuse|insult|headline|slogan)\b",
    re.IGNORECASE,
)
_ASKS_FACT = re.compile(
    r"\W*(?:who|when|where|which|what(?:'s| is| are| was| were| did| does)|name|"
    r"how (?:many|much|old|long|far|tall|often))\b",
    re.IGNORECASE,
)
_FEW = 12
"""So short an answer to a question for a fact is the fact."""
_VERSE = re.compile(r"\b(?:poem|sonnet|haiku|limerick|verse|song|lyrics|rap|rhyme)\b", re.IGNORECASE)
_LETTER = re.compile(r"\b(?:letter|e-?mail|message|note|text|memo|dm|post|invitation)\b", re.IGNORECASE)
_LETTER_BEGINS = re.compile(r"\W*(?:dear|subject|hi|hello|hey|to whom|from|to)\b", re.IGNORECASE)
_LABEL = re.compile(r"[\w\-/&.]+(?:[ _][\w\-/&.]+){0,5}[.!]?")
_LABELLED = re.compile(
    r"^\W*(?:label|intent|category|class|topic|queue|urgency|action|answer|sentiment|type|code|tag)\s*[:=]", re.I
)
_INSTRUCTS = re.compile(
    r"\W*(?:1[.)]\s|step (?:1|one)|first(?:ly)?\b|here(?:'s| is| are)\b|you(?:'ll|'d)?\b|"
    r"(?:start|begin|make|try|use|take|keep|bring|look|open|listen|reply|put|get|go|ask|find|add|mix|place|cut|wear|avoid|call|tell|say|choose|pick|buy|check|"
    r"turn|hold|give|set|wait|hide|follow|learn|send|pretend|remove|cover|work|stay|walk|drive|sit|stand)\b(?!s))",
    re.IGNORECASE,
)
"""How a reply opens that answers without naming what it answers."""
_SAYS_YES = re.compile(
    r"\W*(?:sure|of course|certainly|absolutely|yes|okay|gladly|no problem)\b.{0,40}?\b(?:here|these|this|below)\b",
    re.IGNORECASE | re.DOTALL,
)
_NAMES_NOTHING = 2
"""So few content words can't be about anything else."""
_REFERS_BACK = re.compile(r"\W*(?:it|they|he|she|this|these|those|that|both|neither)\b(?!')", re.IGNORECASE)
_ORDERS = re.compile(
    r"(?:^|[,.;:] )(?:and |then |or |also )?(?!(?:the|this|that|your|in|on|at|for|of|is|it|as|to)\b)[a-z]+ "
    r"(?:(?:up|down|out|off|on|over|in|away|back) )?"
    r"(?:the|an?|your|it|them|every|each|any|all|some|both|one|two|three|\d+|what|how|him|her|someone)\b",
    re.IGNORECASE,
)
"""Clauses such as "trim the stems" or ", wipe it"; two of them make instructions."""
_COMPOSE = re.compile(
    r"\W*(?:please |can you |could you |help me )*(?:write|compose|draft|invent|make up|craft|create|come up with|"
    r"give me|pen|produce|design|tell me a|spin|cook up)\b",
    re.IGNORECASE,
)
_GENERIC = word_set(
    """way ways method methods process step steps strategy strategies plan general generally definition mean means
    meaning happen happened example examples important several typical typically different various kind kinds type
    types sort best better able possible someone somebody anyone person everyone others write explain describe show
    create build start take put keep go going come did different place part parts time times day days new number
    based specific following include includes including provide long able common simple effective right advice
    question questions answer life world live get getting made making look looking work works working back"""
)
"""Content words so general that sharing one says nothing of the topic."""
_SAYS_NOTHING = FUNCTION_WORDS | _GENERIC
_OPENING_WORDS = 60
"""A reply that answers names its subject early; a long text on anything else shares some word by chance."""
_SUFFIX = re.compile(r"(?:'s|ing|ings|ed|es|s|ly|er|ers|ion|ions|ation|ment|ness|e|y|ies)$")


Relation: TypeAlias = Literal["on", "off", "unknown"]


def relation(prompt: str, reply: str) -> Relation:
    """Whether the reply is on the request's task; off: another task's output, an echo, or talk of something else;
    unknown: it shares no word with a request to write something, which a good answer need not do either."""
    text = reply.strip()
    if is_data(text):
        return "on" if _ASKS_FOR_DATA.search(prompt) else "off"
    if is_label(prompt, text) or is_echo(prompt, text):
        return "off"
    asked, said = stems_of(prompt), stems_of(" ".join(text.split()[:_OPENING_WORDS]))
    if len(asked) < 2 or len(words_of(text)) < 6 or shares(asked, said):
        return "on"
    if opens_as_answer(text.replace("’", "'")) or is_form_asked_for(prompt, text) or fits_the_question(prompt, text):
        return "on"
    agrees = _SAYS_YES.match(text)
    if agrees and len(stems_of(text[agrees.end() :])) <= _NAMES_NOTHING:
        return "on"
    return "unknown" if _COMPOSE.match(prompt) else "off"


def opens_as_answer(text: str) -> bool:
    """Whether it begins as only an answer begins: with steps, an order, or a pronoun that stands for the subject."""
    return opens_by_instructing(text) or bool(_REFERS_BACK.match(text))


def opens_by_instructing(text: str) -> bool:
    """Whether it begins with steps or orders."""
    return bool(_INSTRUCTS.match(text)) or len(_ORDERS.findall(SENTENCE_END.split(text, 1)[0])) >= 2


def fits_the_question(prompt: str, text: str) -> bool:
    """Whether it begins as an answer to that kind of question does, which need not name its subject again: yes or no,
    because, a fact in a few words, the wording that was asked for."""
    if _ASKS_YES_OR_NO.match(prompt):
        return bool(_YES_NO.match(text) or _HEDGES.match(text))
    if _ASKS_WHY.match(prompt):
        return text[:7].lower() == "because"
    if ASKS_WORDING.search(prompt):
        return text[:1] in "\"“«'"
    return bool(_ASKS_FACT.match(prompt)) and len(text.split()) <= _FEW


def is_form_asked_for(prompt: str, text: str) -> bool:
    """Whether a poem was asked for, which need not name its subject, or a letter, and the reply begins as one."""
    return bool(_VERSE.search(prompt)) or bool(_LETTER.search(prompt) and _LETTER_BEGINS.match(text))


def is_data(text: str) -> bool:
    """Whether it is JSON, whole or cut off at either end, or nothing but `key: value` pairs."""
    body = re.sub(r"^```\w*\s*|\s*```$", "", text) if "```" in text else text
    if body[:1] in "{[" and body[:1]:
        try:
            json.loads(body)
        except ValueError:
            return bool(re.match(r"[{\[]\s*(?:[{\[]\s*)?[\"'][\w \-]+[\"']\s*[:,\]]", body))
        return True
    if body.count(":") + body.count("=") < 2:
        return False
    key, value = r"[\"']?[\w\-]{1,24}[\"']?", r"[\w\-.\"']{1,24}"
    pairs = re.findall(rf"(?:^|[,;|\n])\s*{key}\s*[=:]\s*{value}(?=\s*(?:[,;|\n}}\]]|$))", body)
    return len(pairs) >= 2 and sum(map(len, pairs)) > 0.7 * len(body)


def is_label(prompt: str, text: str) -> bool:
    """Whether it is a class name rather than an answer: few words, no sentence, nothing of the request in it."""
    if _LABELLED.match(text) and len(words_of(text)) <= 8:
        return True
    if not _LABEL.fullmatch(text) or len(text.split()) > 5 or _YES_NO.match(text):
        return False
    if "_" in text or re.fullmatch(r"[A-Z0-9][A-Z0-9\-/. ]*\d[A-Z0-9\-/. ]*|[A-Z\-/ ]{3,}", text):
        return True
    if _SHORT_QUESTION.match(prompt) and not PROCEDURAL.search(prompt):
        return False
    return not shares(stems_of(prompt), stems_of(text))


def is_echo(prompt: str, text: str) -> bool:
    """Whether it only says the request again."""
    asked, said = words_of(prompt), words_of(text)
    if len(said) < 3 or len(said) > 1.3 * len(asked) + 2:
        return False
    if set(re.findall(r"\d+", text)) - set(re.findall(r"\d+", prompt)):
        return False
    common = len(set(asked) & set(said))
    return common >= 0.85 * len(set(said)) and common >= 0.7 * len(set(asked))


@lru_cache(maxsize=1024)
def stems_of(text: str) -> frozenset[str]:
    """The content words, endings cut off."""
    return frozenset({stem_of(word) for word in set(words_of(text)) - _SAYS_NOTHING if len(word) > 2})


def shares(asked: frozenset[str], said: frozenset[str]) -> bool:
    """Whether a content word of the request, or a longer or shorter form of one, is in the reply."""
    if asked & said:
        return True
    long_said = [word for word in said if len(word) >= 4]
    heads = {word[:4] for word in long_said}
    return any(
        any(a.startswith(s) or s.startswith(a) or (len(a) > 5 and a[:5] == s[:5]) for s in long_said)
        for a in asked
        if len(a) >= 4 and a[:4] in heads
    )


@lru_cache(maxsize=1 << 16)
def stem_of(word: str) -> str:
    """The word without its ending, where three letters are left."""
    cut = _SUFFIX.sub("", word)
    return cut if len(cut) >= 3 else word
