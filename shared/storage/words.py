"""Words of a text for search: Chinese as single characters and pairs, all else as whole words.

Chinese has no spaces, and an index of three-character pieces cannot find 百合; pairs can. A text is
indexed under each character and each neighbouring pair, so that a query of one character finds it,
and a query of more is the pairs in a row.
"""

import re
import unicodedata
from dataclasses import dataclass

_CHINESE = "㐀-䶿一-鿿豈-﫿\U00020000-\U0003fffd"
_HAN = re.compile(f"[{_CHINESE}]")
_RUN = re.compile(f"[{_CHINESE}]+|[^\\W_{_CHINESE}]+")

QUERY_RUNS_MAX = 8
"""Beyond this many words a query is cut: nobody types more, and each costs an index walk."""

QUERY_TERMS_MAX = 32
"""The same for the pairs of a long Chinese text."""

BEGINNING_BYTES_MAX = 200
"""The same for a beginning, in UTF-8. Sixty characters typed can be a thousand bytes of one word,
and Tantivy refuses an expression that goes through a thousand states."""

_NUMBERED_LETTERS_MIN = 4
"""Of an English word that is taken to have a plural: not *gas*, and not what is hardly begun."""


def _runs(text: str) -> list[str]:
    return _RUN.findall(unicodedata.normalize("NFKC", text).casefold())


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def index_words(text: str) -> str:
    """The words under which a text is found, separated by spaces."""
    words: list[str] = []
    for run in _runs(text):
        if _HAN.match(run):
            words += [*run, *_pairs(run)]
        else:
            words.append(run)
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class Word:
    """What a text has to hold: just this word or, with `begins`, one that begins so, or so as
    `other` has it.
    """

    text: str
    begins: bool
    other: str = ""


def query_words(query: str) -> list[Word]:
    """The words of which a text has to hold every one; none if the query has no word.

    Words that are not Chinese match as beginnings, as a person still typing expects, and English
    ones in either number: *lilies* and *walnuts* find a lily and a walnut.
    """
    words: list[Word] = []
    for run in _runs(query)[:QUERY_RUNS_MAX]:
        if _HAN.match(run):
            words += [Word(pair, begins=False) for pair in _pairs(run) or [run]]
        else:
            words.append(_in_either_number(_beginning(run)))
    return words[:QUERY_TERMS_MAX]


def _in_either_number(word: str) -> Word:
    """A beginning of an English word's singular and plural, after Harman's S stemmer (1991). Never
    less than the word itself begins: it may be half of another one.
    """
    if len(word) < _NUMBERED_LETTERS_MIN or not word.isascii() or not word.isalpha():
        return Word(word, begins=True)
    if word.endswith("ies"):
        return Word(word, begins=True, other=f"{word[:-3]}y")
    if word.endswith("y") and word[-2] not in "aeiou":
        return Word(word, begins=True, other=f"{word[:-1]}ies")
    if word.endswith(("ches", "shes", "sses", "xes", "oes")):
        return Word(word[:-2], begins=True)
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return Word(word[:-1], begins=True)
    return Word(word, begins=True)


def _beginning(run: str) -> str:
    return run.encode()[:BEGINNING_BYTES_MAX].decode(errors="ignore")
