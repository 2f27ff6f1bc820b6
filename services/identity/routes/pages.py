"""The pages that people see when they sign in: plain HTML that loads nothing and runs nothing."""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.errors import Refused
from shared.language import TAGS, Language, Words
from shared.web.responses import Rendered

_FOLDER = Path(__file__).parent / "pages"
_ORIGIN = re.compile(r"(https://[a-z0-9.:-]+|[a-z][a-z0-9+.-]*:)")


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> tuple[str, str]:
    """What pages look like, and the digest by which a policy allows that and nothing else."""
    text = (_FOLDER / "page.css").read_text(encoding="utf-8")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def rendered(
    name: str,
    language: Language,
    values: Mapping[str, object],
    *,
    status: int = 200,
    leads_to: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Rendered:
    """A page. `leads_to` is the app's address: browsers hold a form to where its answer leads."""
    style, digest = _style()
    template = _templates().get_template(f"{name}.html")
    text = template.render(
        values, language=language, tag=TAGS[language], style=style, say=_say(language)
    )
    body = text.encode()
    allowed = "'self'" if leads_to is None else f"'self' {_origin(leads_to)}"
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action {allowed};"
        " base-uri 'none'; frame-ancestors 'none'"
    )
    return Rendered(
        status,
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Content-Language", TAGS[language]),
            ("Cache-Control", "no-store"),
            ("Vary", "Accept-Language, Cookie"),
            ("X-Frame-Options", "DENY"),
            *headers,
        ],
        body,
        policy,
    )


def again(refused: Refused) -> tuple[tuple[str, str], ...]:
    """The header that says when to try again, where a refusal says so."""
    wait = refused.retry_after_seconds
    return () if wait is None else (("Retry-After", str(wait)),)


def redirect(location: str, headers: tuple[tuple[str, str], ...] = ()) -> Rendered:
    """Back to the app."""
    return Rendered(
        303,
        [
            ("Location", location),
            ("Content-Length", "0"),
            ("Cache-Control", "no-store"),
            *headers,
        ],
        b"",
    )


def _say(language: Language) -> object:
    return lambda words: words.into(language) if isinstance(words, Words) else words


def _origin(address: str) -> str:
    """What a policy calls an address: its origin, or its scheme where it is an app's own."""
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("no address that a policy could name")
    return origin
