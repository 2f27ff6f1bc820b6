"""Answers on the wire: a status, headers and bytes that are ready when they are made.

`Rendered` stands in for Flask's `Response`, which takes half as long as a whole read from the
replica to build and to send.
"""

import re
import zlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from shared.web.requests import Environ

Headers = list[tuple[str, str]]

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


NO_CONTENT_AT_ALL = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
"""The policy of what is no page: a browser that shows it all the same loads and runs nothing."""

_SECURITY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)

PACKED_BYTES_MIN = 512
"""What is smaller fits the packet that its headers need."""

_PACKED_LEVEL = 4
"""As the gateway packs whatever comes to it plain."""

_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:,|$|;\s*q=(?:1|0\.0*[1-9]))", re.IGNORECASE)


def takes_packed(environ: Environ) -> bool:
    """Whether Accept-Encoding names gzip, and wants it (RFC 9110, 12.5.3)."""
    return _GZIP.search(environ.get("HTTP_ACCEPT_ENCODING", "")) is not None


def packed(body: bytes) -> bytes:
    """A body as `Content-Encoding: gzip`, the same each time."""
    packer = zlib.compressobj(_PACKED_LEVEL, wbits=16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


class Rendered:
    """A WSGI application that gives one prepared answer, with the headers that every answer has.

    There is no Access-Control-Allow-Origin: apps are no pages of other sites, and pages are ours.
    """

    __slots__ = ("body", "headers", "policy", "status")

    def __init__(
        self, status: int, headers: Headers, body: bytes, policy: str = NO_CONTENT_AT_ALL
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.policy = policy

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        headers = [*self.headers, *_SECURITY, ("Content-Security-Policy", self.policy)]
        start_response(_STATUS_LINES[self.status], headers)
        return () if environ["REQUEST_METHOD"] == "HEAD" else (self.body,)
