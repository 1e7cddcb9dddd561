"""What a prompt, or a line of it, opens with where that is set off by a comma: the form, whatever its words are.

English only. Forms are told by their first word, so that a few openings that merely look like one are taken for it.
"""

from __future__ import annotations

import re

MARKER = "opening_form"
"""What stands in a prompt in place of the form."""
_FORMS = {
    "subordinate clause": (
        "because|since|although|though|while|whilst|when|whenever|once|if|unless|until|till|after|before|as|whereas|"
        "wherever|where|whether|lest|provided|given that|now that|in case|even (?:if|though|when)|so that"
    ),
    "prepositional phrase": (
        "in|on|at|by|with|without|within|during|under|over|from|for|despite|near|among|amid|through|across|behind|"
        "beyond|beneath|beside|besides|above|below|between|against|around|along|towards?|upon|onto|into|of|per|like"
    ),
    "participle clause": r"(?:not )?(?:having|being|[a-z]{2,}(?<!th)(?<!dur)(?<!someth)(?<!noth)(?<!anyth)ing|given)",
    "infinitive clause": "to|in order to|so as to",
}
"""By name, what the first word or words are (a pattern)."""
_NAMES = tuple(_FORMS)
_OPENING = re.compile(
    "^[ \t]*(?:" + "|".join(rf"({words})(?=[ \t])" for words in _FORMS.values()) + r")[^,;:.?!\n]{4,100},[ \t]+(?=\S)",
    re.MULTILINE,
)
_WRITER_OR_READER = re.compile(r"\b(?:i|me|my|mine|we|us|our|ours|you|your|yours)\b")
_LONGEST = ((3, "up to 3 words"), (5, "4 or 5 words"), (7, "6 or 7 words"), (10, "8 to 10 words"), (100, "more words"))


def opening(prompt: str) -> tuple[tuple[str, ...], str]:
    """The forms that a line of the lower-cased prompt opens with first, in words, the general one first, and the prompt
    with a marker in place of that form; nothing and an empty string where no line has one."""
    found = _OPENING.search(prompt)
    if found is None or found.lastindex is None:
        return (), ""
    kind, first, text = _NAMES[found.lastindex - 1], found.group(found.lastindex), found.group()
    length = next(name for most, name in _LONGEST if len(text.split()) <= most)
    forms = [kind, f"{kind} that begins with {first}", f"{kind} of {length}"]
    if not _WRITER_OR_READER.search(text):
        forms += [f"{form} about neither writer nor reader" for form in (*forms,)]
    return tuple(forms), f"{prompt[: found.start()]}{MARKER} {prompt[found.end() :]}"
