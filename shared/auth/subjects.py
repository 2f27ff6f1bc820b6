"""`service_subject`: the only way from an account id to what a service stores.

Each service has a key of its own, so that the journals of two services cannot be joined by person,
and whoever reads one learns no account id. The key never changes: documents are found through it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable

SubjectOf = Callable[[str], str]
"""`service_subject` with a service's key in place."""

DigestOf = Callable[[str, str], str]
"""`document_digest` with a service's key in place."""


def service_subject(account: str, key: bytes) -> str:
    """The subject for an account id (a token's `sub`): `sub_` and 32 lower-case characters.

    160 bits of HMAC-SHA256 in base32: random to anyone without the key, equal for equal accounts.
    """
    digest = hmac.digest(key, b"subject\0" + account.encode(), hashlib.sha256)
    return "sub_" + base64.b32encode(digest[:20]).decode().lower()


def document_digest(kind: str, number: str, key: bytes) -> str:
    """What a service stores for an identity document: `doc_` and 32 lower-case characters.

    Numbers can be counted through, so the digest is keyed, with the service's own key.
    """
    digest = hmac.digest(key, f"document\0{kind}\0{number}".encode(), hashlib.sha256)
    return "doc_" + base64.b32encode(digest[:20]).decode().lower()


def documents(key: bytes) -> DigestOf:
    """`document_digest` for one service."""
    return lambda kind, number: document_digest(kind, number, key)


def subjects(key: bytes) -> SubjectOf:
    """`service_subject` for one service."""
    return lambda account: service_subject(account, key)
