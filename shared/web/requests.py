"""Reading a request, strictly: what is malformed, doubled or undeclared is refused by name.

Functions of the WSGI environ (PEP 3333) alone.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from shared.errors import (
    INVALID,
    KEY_MISSING,
    MALFORMED,
    MEDIA,
    PRECONDITION_MISSING,
    TOO_LARGE,
    Refused,
)
from shared.schemas import INTEGER_MAX, field_error

Environ = dict[str, Any]

QUERY_FIELDS_MAX = 50

FIELD_CHARACTERS_MAX = 100
"""How much a refusal repeats of a name that somebody made up."""

UNKNOWN_REVISION = -1
"""What a well-formed ETag that is none of ours stands for: no document was ever at it."""


class Media(NamedTuple):
    """Which contents are taken: the names of their types, and what a Content-Type is to be like."""

    types: tuple[str, ...]
    like: re.Pattern[str]


def text_of(media_type: str) -> Media:
    """Text of a type, in UTF-8, said or not."""
    like = rf'{re.escape(media_type)} *(; *charset="?utf-8"?)?'
    return Media((media_type,), re.compile(like, re.IGNORECASE))


JSON = text_of("application/json")
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_SEQ = re.compile(r"[0-9]{1,16}")
_REQUEST_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")
_ETAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]{0,100})"')
_OWN_ETAG = re.compile(r"([0-9]{1,16})(?:-[0-9a-f]{16})?")


def body(environ: Environ, bytes_max: int, media: Media = JSON) -> bytes:
    """The whole body, of a content type that is in `media`; b"" where there is none.

    Raises Refused: TOO_LARGE, MEDIA, or MALFORMED where it was cut short.
    """
    length = _length(environ)
    if length == 0:
        return b""
    if length > bytes_max:
        raise Refused(TOO_LARGE, detail={"bytes_max": bytes_max})
    if not media.like.fullmatch(environ.get("CONTENT_TYPE", "").strip()):
        raise Refused(MEDIA, detail={"media_types": media.types})
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise Refused(MEDIA, detail={"content_encodings": ["identity"]})
    try:
        raw: bytes = environ["wsgi.input"].read(length if length > 0 else bytes_max + 1)
    except OSError:
        # The client went away, or its chunks are malformed.
        raise Refused(MALFORMED) from None
    if len(raw) > bytes_max:
        raise Refused(TOO_LARGE, detail={"bytes_max": bytes_max})
    if len(raw) < length:
        raise Refused(MALFORMED)
    return raw


def _length(environ: Environ) -> int:
    """The declared length in bytes, -1 for a body that ends by itself (chunked)."""
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isascii() and declared.isdigit():
        return int(declared[:18])
    if declared:
        raise Refused(MALFORMED, fields=(field_error("Content-Length", "pattern"),))
    chunked = "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated")
    return -1 if chunked else 0


class _Twice(ValueError):  # noqa: N818 - what it says about the request is enough
    """A member stands twice in one JSON object."""


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        # In one pass: whoever sends this is nobody yet, and a body has room for thousands of names.
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Twice(name)
            seen.add(name)
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


class _Pairs(list[tuple[str, Any]]):
    """An object's members, as often as they stand there."""


def _paths_of_twice(text: str) -> Iterator[str]:
    """Where members stand that stood before, such as `lines.0.quantity`, each path cut to what a
    refusal repeats. Goes by a list of its own: a body may be nested deeper than calls may be.
    """
    waiting: list[tuple[str, Any]] = [("", json.loads(text, object_pairs_hook=_Pairs))]
    while waiting:
        path, value = waiting.pop()
        if not isinstance(value, list):
            continue
        seen: set[str | int] = set()
        inner: list[tuple[str, Any]] = []
        for name, member in value if isinstance(value, _Pairs) else enumerate(value):
            at = (f"{path}.{name}" if path else str(name))[:FIELD_CHARACTERS_MAX]
            if name in seen:
                yield at
            seen.add(name)
            inner.append((at, member))
        waiting += reversed(inner)


def _refusal_of_twice(text: str) -> Refused:
    try:
        path = next(_paths_of_twice(text))
    except RecursionError:  # deeper than was read before the member that stands twice
        return Refused(MALFORMED)
    return Refused(INVALID, fields=(field_error(path, "twice"),))


def json_value(raw: bytes) -> Any:
    """The value of a JSON text (RFC 8259). Raises Refused: MALFORMED, or INVALID for a member
    that stands twice.
    """
    try:
        value = orjson.loads(raw)
        # orjson is the stricter reader of everything but this: it lets the last of two members win.
        _DECODER.decode(raw.decode())
    except _Twice:
        raise _refusal_of_twice(raw.decode()) from None
    except json.JSONDecodeError as error:
        # Where, and not what stands there: the text may be personal.
        raise Refused(MALFORMED, detail={"line": error.lineno, "column": error.colno}) from None
    except (ValueError, RecursionError):
        raise Refused(MALFORMED) from None
    return value


def query(environ: Environ) -> dict[str, str]:
    """The query string's fields. Raises Refused(INVALID) for one that is given twice."""
    text = environ.get("QUERY_STRING")
    if not text:
        return {}
    fields: dict[str, str] = {}
    for name, value in _pairs(text):
        if name in fields:
            raise Refused(INVALID, fields=(field_error(name[:FIELD_CHARACTERS_MAX], "twice"),))
        fields[name] = value
    return fields


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        # WSGI hands bytes as Latin-1 text; what they say is UTF-8, percent-encoded or not.
        return parse_qsl(
            text.encode("latin-1").decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_FIELDS_MAX,
        )
    except ValueError:
        raise Refused(MALFORMED) from None


def request_id(environ: Environ) -> str | None:
    """The gateway's id for this request, if it has the shape of one."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if _REQUEST_ID.fullmatch(given) else None


def idempotency_key(environ: Environ) -> str:
    """Raises Refused(KEY_MISSING), or INVALID for one that is not 1 to 128 visible characters."""
    key: str | None = environ.get("HTTP_IDEMPOTENCY_KEY")
    if not key:
        raise Refused(KEY_MISSING)
    if not _KEY.fullmatch(key):
        raise Refused(INVALID, fields=(field_error("Idempotency-Key", "key"),))
    return key


def commit_seq(environ: Environ) -> int:
    """The entry that the caller has seen, 0 for none. Raises Refused(INVALID)."""
    given = environ.get("HTTP_COMMIT_SEQ")
    if given is None:
        return 0
    if not _SEQ.fullmatch(given) or int(given) > INTEGER_MAX:
        raise Refused(INVALID, fields=(field_error("Commit-Seq", f"range|0|{INTEGER_MAX}"),))
    return int(given)


def matched_revision(environ: Environ) -> int:
    """The revision that If-Match asks for. Raises Refused(PRECONDITION_MISSING, INVALID).

    One ETag as it was read, no list and no `*`: both would change what nobody looked at. `W/` is
    passed over, because compression makes a strong ETag weak and the revision within stays what it
    was.
    """
    given = environ.get("HTTP_IF_MATCH")
    if not given:
        raise Refused(PRECONDITION_MISSING)
    tag = _ETAG.fullmatch(given.strip())
    if tag is None:
        raise Refused(INVALID, fields=(field_error("If-Match", "etag"),))
    own = _OWN_ETAG.fullmatch(tag[1])
    return int(own[1]) if own else UNKNOWN_REVISION


def is_known(environ: Environ, etag: str) -> bool:
    """Whether If-None-Match names this ETag (weak comparison, RFC 9110, section 13.1.2)."""
    given = environ.get("HTTP_IF_NONE_MATCH")
    if not given:
        return False
    return given.strip() == "*" or etag.strip('"') in _ETAG.findall(given)
