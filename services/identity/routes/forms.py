"""What a browser brings: a form's values, a cookie, an address. What a form carries between pages.

A page is sealed for the browser that it was made for: the form names what the app asked for, and a
digest of the browser's cookie. So no other site, and no other browser, can send it; nothing in it
can be changed; and until a code is asked for nothing is stored.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import orjson

from services.identity.domain.sealing import Sealing
from shared.errors import INVALID, MALFORMED, Refused
from shared.schemas import field_error
from shared.web import requests
from shared.web.requests import Environ

BODY_BYTES_MAX = 16 << 10
COOKIES = {True: "__Host-gansu_sign_in", False: "gansu_sign_in"}
"""What the cookie is called, with TLS and without: with it, by a name that no other host of the
domain and no page without TLS can set (RFC 6265bis, section 4.1.3.2)."""

STAFF_COOKIES = {True: "__Host-gansu_staff", False: "gansu_staff"}
"""What the cookie is called that says whose of the staff a browser is."""
STAFF_SECONDS = 180 * 86_400

PAGE_MS = 30 * 60_000
"""How long a page waits for its person."""

_FORM = requests.text_of("application/x-www-form-urlencoded")
_BROWSER = {
    secure: re.compile(rf"(?:^|; *){name}=([0-9a-f]{{32}})(?:;|$)")
    for secure, name in COOKIES.items()
}
_STAFF = {
    secure: re.compile(rf"(?:^|; *){name}=([A-Za-z0-9_.-]{{1,100}})(?:;|$)")
    for secure, name in STAFF_COOKIES.items()
}
_FIELDS_MAX = 20
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def form(environ: Environ) -> dict[str, str]:
    """A form's values. Raises Refused: MALFORMED, MEDIA, TOO_LARGE; INVALID for one given twice."""
    raw = requests.body(environ, BODY_BYTES_MAX, _FORM)
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX
        )
    except ValueError:
        raise Refused(MALFORMED) from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise Refused(INVALID, fields=(field_error(name[:100], "twice"),))
        values[name] = value
    return values


def browser(environ: Environ, *, secure: bool) -> str | None:
    """What the cookie calls the browser."""
    read = _BROWSER[secure].search(environ.get("HTTP_COOKIE", ""))
    return None if read is None else read[1]


def cookie(name: str, *, secure: bool) -> str:
    """The Set-Cookie that names a browser until it is closed; sent by our own pages alone."""
    return f"{COOKIES[secure]}={name}; {_for_own_pages(secure=secure)}"


def staff(environ: Environ, *, secure: bool) -> str:
    """What a browser keeps of whoever of the staff has signed in from it."""
    read = _STAFF[secure].search(environ.get("HTTP_COOKIE", ""))
    return "" if read is None else read[1]


def staff_cookie(kept: str, *, secure: bool) -> str:
    """The Set-Cookie by which a browser keeps that."""
    name = STAFF_COOKIES[secure]
    return f"{name}={kept}; Max-Age={STAFF_SECONDS}; {_for_own_pages(secure=secure)}"


def _for_own_pages(*, secure: bool) -> str:
    return f"Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"


def address(environ: Environ) -> str:
    """Where a request comes from, as the gateway says; of IPv6 the network, which one has whole.
    An IPv4 address that is written as IPv6 is what it is: a whole country's share one such network.
    """
    said = environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR") or ""
    try:
        read = ipaddress.ip_address(said)
    except ValueError:
        return "unknown"
    if isinstance(read, ipaddress.IPv4Address):
        return str(read)
    written = _ipv4_in(read)
    return str(written or ipaddress.ip_network((read, 64), strict=False))


def _ipv4_in(read: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is mapped (RFC 4291, section 2.5.5.2) or translated (RFC 6052)."""
    if read in _TRANSLATED:
        return ipaddress.IPv4Address(read.packed[-4:])
    return read.ipv4_mapped


@dataclass(frozen=True, slots=True)
class Page:
    """A page on its way through a browser: `id` is its own, `values` are what the app asked for,
    `sign_in` is what waits for a code, `shown` the end of the number that it went to.
    """

    id: str
    browser: str
    values: Mapping[str, str]
    made_ms: int
    sign_in: str = ""
    shown: str = ""

    def sealed(self, sealing: Sealing) -> str:
        members = [self.id, self.browser, dict(self.values), self.made_ms, self.sign_in, self.shown]
        return sealing.seal("pages", "sign-in", orjson.dumps(members))


def opened(sealing: Sealing, sealed: str, from_browser: str | None, now_ms: int) -> Page | None:
    """A page that comes back from the browser that it was made for, in time; else None."""
    try:
        page = Page(*orjson.loads(sealing.unseal("pages", "sign-in", sealed)))
    except (ValueError, TypeError):
        return None
    # One that another container made may be of a clock that is ahead.
    if page.browser != from_browser or now_ms - page.made_ms >= PAGE_MS:
        return None
    return page
