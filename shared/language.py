"""The two languages that the platform answers in, and which of them a caller wants.

Chinese is the default: it is what a citizen's phone asks for, and what a client that asks for
nothing gets.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

Language = Literal["zh", "en"]

TAGS: dict[Language, str] = {"zh": "zh-CN", "en": "en"}
"""What stands in Content-Language."""

_HEADER_CHARACTERS_MAX = 200


class Words(NamedTuple):
    """One text in both languages."""

    zh: str
    en: str

    def into(self, language: Language) -> str:
        return self.en if language == "en" else self.zh


def local(body: Mapping[str, Any], member: str, language: Language) -> str:
    """A document's `‹member›_zh` or `‹member›_en`; Chinese where there is no English."""
    in_english = body[f"{member}_en"] if language == "en" else ""
    return str(in_english or body[f"{member}_zh"])


def accepted(header: str | None) -> Language:
    """The language that an Accept-Language header prefers (RFC 9110, section 12.5.4)."""
    if not header or len(header) > _HEADER_CHARACTERS_MAX:
        return "zh"
    return _preferred(header)


# Phones send a few dozen different headers in all; the bound is for those who send made-up ones.
@lru_cache(maxsize=256)
def _preferred(header: str) -> Language:
    weights: dict[Language, float] = {"zh": 0.0, "en": 0.0}
    for part in header.lower().split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().partition("-")[0]
        weight = _weight(parameter)
        if language in {"zh", "*"}:
            weights["zh"] = max(weights["zh"], weight)
        elif language == "en":
            weights["en"] = max(weights["en"], weight)
    return "en" if weights["en"] > weights["zh"] else "zh"


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
