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
    """What a text has to hold: just this word or, with `begins`, one that begins so."""

    text: str
    begins: bool


def query_words(query: str) -> list[Word]:
    """The words of which a text has to hold every one; none if the query has no word.

    Words that are not Chinese match as beginnings, as a person still typing expects.
    """
    words: list[Word] = []
    for run in _runs(query)[:QUERY_RUNS_MAX]:
        if _HAN.match(run):
            words += [Word(pair, begins=False) for pair in _pairs(run) or [run]]
        else:
            words.append(Word(_beginning(run), begins=True))
    return words[:QUERY_TERMS_MAX]


def _beginning(run: str) -> str:
    return run.encode()[:BEGINNING_BYTES_MAX].decode(errors="ignore")
