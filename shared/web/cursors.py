"""Opaque list cursors: a position, sealed to the one list that it stands in.

A cursor is base64url(tag ‖ JSON position). The tag is a keyed digest over the position and the
list's own description (route, path, filters, caller), so that a cursor that was changed, made up,
or taken from another list is refused instead of quietly answering with the wrong page.
"""

import base64
import hashlib
import hmac

import orjson

from shared.errors import INVALID, Refused
from shared.schemas import field_error
from shared.storage.access import Position

_TAG_BYTES = 16


def sealed(position: Position, listing: bytes, key: bytes) -> str:
    """The cursor that continues `listing` behind `position`."""
    text = orjson.dumps(position)
    return base64.urlsafe_b64encode(_tag(text, listing, key) + text).decode().rstrip("=")


def opened(cursor: str, listing: bytes, key: bytes) -> Position:
    """The position in a cursor. Raises Refused(INVALID) on the field `after`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    tag, text = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(text, listing, key)):
        raise Refused(INVALID, fields=(field_error("after", "cursor"),))
    return tuple(orjson.loads(text))


def _tag(text: bytes, listing: bytes, key: bytes) -> bytes:
    # The length in front keeps (listing, position) pairs apart that join to the same bytes.
    message = len(listing).to_bytes(4, "big") + listing + text
    return hmac.digest(key, b"cursor\0" + message, hashlib.sha256)[:_TAG_BYTES]
