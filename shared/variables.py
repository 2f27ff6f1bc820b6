"""How a setting is declared: its variable, its parser, the sentence that explains it.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings(Environment):
        threads: int = variable("GANSU_THREADS", whole(2, 256), "Threads.", default="8")

`shared/settings.py` has all of them, and alone reads the environment.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Self

SECRET_BYTES_MIN = 32

Parser = Callable[[str], Any]


class SettingsError(Exception):
    """The environment cannot be used; the message names every variable that is wrong."""


def text(pattern: str, meaning: str) -> Parser:
    """Text of that shape."""

    def parse(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(meaning)
        return value

    return parse


def one_of(*names: str) -> Parser:
    """One of these words."""
    return text("|".join(map(re.escape, names)), f"is one of {', '.join(names)}")


def whole(low: int, high: int) -> Parser:
    """A whole number within bounds."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise ValueError(f"is a whole number from {low} to {high}")
        return int(value)

    return parse


def flag(value: str) -> bool:
    """Yes or no."""
    if value not in {"yes", "no"}:
        raise ValueError("is yes or no")
    return value == "yes"


def secret(value: str) -> bytes:
    """Bytes that nobody guesses."""
    found = value.encode()
    if len(found) < SECRET_BYTES_MIN:
        raise ValueError(f"has at least {SECRET_BYTES_MIN} bytes")
    return found


def keys_by_id(value: str) -> Mapping[str, bytes]:
    """Keys of 32 bytes, by their ids."""
    rows = [re.fullmatch(r"([a-z0-9-]{1,32}):([0-9a-f]{64})", row) for row in value.split(",")]
    found = {row[1]: bytes.fromhex(row[2]) for row in rows if row is not None}
    if len(found) < len(rows):
        raise ValueError("is id:key, the keys of 64 hex digits, separated by commas")
    return found


def url_or_file(value: str) -> str:
    """Where something is."""
    if not re.fullmatch(r"https?://[^\s]+|/.*", value):
        raise ValueError("is an http(s) URL or an absolute path")
    return value


URL = text(r"https?://[^\s/]+(/[^\s]*)?", "is an http(s) URL")
NAME = text(r"[a-z][a-z0-9-]{0,31}", "is a short lower-case name")
BUCKET = text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "is a bucket name")
PREFIX = text(r"([A-Za-z0-9][A-Za-z0-9._-]*/)*", "is empty or names that each end in '/'")
ANY = text(r"[^\s]{0,512}", "has no spaces")


def variable(
    name: str,
    parse: Parser,
    doc: str,
    *,
    default: str | None = None,
    development: str | None = None,
    secret: bool = False,
) -> Any:
    """Declare one setting. Without a default it is required; `development` stands in there."""
    metadata = {
        "name": name,
        "parse": parse,
        "doc": doc,
        "default": default,
        "development": default if development is None else development,
        "secret": secret,
    }
    return field(metadata=metadata, repr=not secret)


ENVIRONMENT = "GANSU_ENV"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What every program of the platform reads first."""

    environment: str = variable(
        ENVIRONMENT,
        one_of("development", "production"),
        "`development` brings defaults for everything; `production` none for secrets.",
        default="production",
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read and check everything. Raises SettingsError with all that is wrong, at once."""
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for setting in fields(cls):
            try:
                values[setting.name] = _read(setting, environ)
            except ValueError as error:
                wrong.append(f"{setting.metadata['name']} {error}")
        if wrong:
            raise SettingsError("; ".join(wrong))
        return cls(**values)


def _read(setting: Field[Any], environ: Mapping[str, str]) -> Any:
    metadata = setting.metadata
    at_home = environ.get(ENVIRONMENT) == "development"
    value = environ.get(metadata["name"]) or metadata["development" if at_home else "default"]
    if value is None:
        raise ValueError("is missing")
    if metadata["secret"] and not at_home and value and value == metadata["development"]:
        raise ValueError("is the value published for development")
    return metadata["parse"](value)
