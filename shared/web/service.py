"""A service over HTTP: the path that every request takes through a service's routes.

    app = build(router, parts, Edge(verifier=…, request_key=…, …))

authenticate → parse and check → the view → render; a `Refused` anywhere on the way becomes a
problem document, and so does whatever else goes wrong. Flask keeps the addresses; its request
context and hooks (before_request, error handlers, …) do not run, because a declaration says all
there is to say about a route, and they cost every request as much as all that is left.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any, Generic, Protocol, TypeVar

import orjson
from flask import Flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from shared import tracing, waiting
from shared.auth.tokens import NOBODY, Identity, TokenVerifier
from shared.clock import Clock
from shared.condition import Condition
from shared.errors import BUSY, FORBIDDEN, INTERNAL, INVALID, METHOD, NOT_FOUND, Refused
from shared.language import TAGS, Language, accepted
from shared.loading import Loader
from shared.schemas import Schema, field_error
from shared.storage.access import Claim
from shared.tracing import Span, Tracer
from shared.web import common, cursors, problems, requests
from shared.web.log import RequestLog
from shared.web.requests import Environ
from shared.web.responses import PACKED_BYTES_MIN, Rendered, packed, takes_packed
from shared.web.routes import Answer, Binary, Call, Page, Route, Router
from shared.web.telemetry import UNHEARD, UNKNOWN_ROUTE, Heard, method_of, template_of

P = TypeVar("P")

UPLOADS_AT_ONCE = 2

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Edge:
    """What every service's HTTP edge works with, whatever the service.

    `request_key` seals cursors and the digests of requests. `heard` is told of every answer, and
    `tracer` makes spans of the requests that the gateway chose.
    """

    verifier: TokenVerifier
    request_key: bytes
    clock: Clock
    log: RequestLog
    body_bytes_max: int
    heard: Heard = UNHEARD
    tracer: Tracer | None = None


class Answers(Protocol):
    """Takes a request to its answer. Raises Refused."""

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered: ...


class Handler(Generic[P]):
    """One route, made ready: takes a request to its answer."""

    def __init__(self, route: Route[P], parts: P, edge: Edge) -> None:
        self.route = route
        self._parts = parts
        self._edge = edge
        # A digest of one call would let go of the interpreter each time, and wait to get it back.
        self._keyed = hmac.new(edge.request_key, b"request\0", hashlib.sha256)
        self._take = self._taker()
        self._query = Loader(route.query or Schema)
        cache = "no-store" if route.public is None else route.public.cache_control
        self._outage_seconds = 0 if route.public is None else route.public.outage_seconds
        self._media = _JSON if not isinstance(route.answer, Binary) else route.answer.media_types[0]
        # Packed here, a public answer lies packed in every cache; what is personal is packed by the
        # gateway, which has time for it.
        self._packs = route.public is not None and self._media == _JSON
        vary = "Accept-Language, Accept-Encoding" if self._packs else "Accept-Language"
        self._headers = (("Cache-Control", cache), ("Vary", vary))

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:
        """Raises Refused."""
        identity = self._identity(environ)
        call = self._call(environ, path, language, identity)
        view = self.route.view
        answer = waiting.apart(lambda: view(call)) if self.route.apart else view(call)
        age = call.age_seconds
        # “Unchanged” would have the gateway serve what it kept as new, and its age would be lost.
        rendered = self._rendered(environ, answer, language, whole=age is not None)
        return rendered if age is None else _aged(rendered, age)

    # In

    def _identity(self, environ: Environ) -> Identity:
        route = self.route
        if route.scope is None:
            return NOBODY
        identity = self._edge.verifier.identify(environ.get("HTTP_AUTHORIZATION"))
        if route.scope not in identity.scopes:
            raise Refused(FORBIDDEN, detail={"scope": route.scope})
        if identity.actor is not None and not route.for_others:
            raise Refused(FORBIDDEN, detail={"for_others": False})
        if route.roles and not route.roles & identity.roles:
            raise Refused(FORBIDDEN, detail={"roles": sorted(route.roles)})
        return identity

    def _call(
        self, environ: Environ, path: dict[str, str], language: Language, identity: Identity
    ) -> Call[P]:
        route = self.route
        given = requests.query(environ)
        query = self._query.load(given, whole="query") if given or route.query else given
        call = Call(self._parts, identity, language, path, query, {})
        call.maybe_open = self._edge.verifier.seal.opened
        call.at_least_seq = requests.commit_seq(environ)
        call.outage_seconds = self._outage_seconds
        call.forwarded = "HTTP_X_FORWARDED_FOR" in environ
        self._take(environ, call)
        if route.once:
            call.maybe_claim = self._claim(environ, call)
        elif route.conditional:
            call.maybe_revision = requests.matched_revision(environ)
        elif route.paged:
            call.maybe_page = self._page(call)
        return call

    def _taker(self) -> Callable[[Environ, Call[P]], None]:
        """What takes the body of a request into its call."""
        route = self.route
        if route.method == "GET":
            return lambda _environ, _call: None
        if isinstance(route.body, Binary):
            return _uploads(route.body)
        loader, required = Loader(route.body or Schema), route.body is not None

        def take(environ: Environ, call: Call[P]) -> None:
            raw = requests.body(environ, self._edge.body_bytes_max)
            if raw or required:
                call.body = loader.load(requests.json_value(raw))

        return take

    def _claim(self, environ: Environ, call: Call[P]) -> Claim:
        key = requests.idempotency_key(environ)
        content: object = call.body
        if call.maybe_upload is not None:
            content = hashlib.sha256(call.maybe_upload).hexdigest()
        asked = orjson.dumps([call.path, call.query, content], option=orjson.OPT_SORT_KEYS)
        sealed = self._keyed.copy()
        sealed.update(asked)
        return Claim(call.identity.caller, self.route.name, key, sealed.digest()[:16].hex())

    def _page(self, call: Call[P]) -> Page:
        limit, after = call.query.pop("limit"), call.query.pop("after", None)
        described = [self.route.name, call.path, call.query, call.identity.caller]
        listing = orjson.dumps(described, option=orjson.OPT_SORT_KEYS)
        key = self._edge.request_key
        return Page(
            limit,
            None if after is None else cursors.opened(after, listing, key),
            lambda position: cursors.sealed(position, listing, key),
        )

    # Out

    def _rendered(
        self, environ: Environ, answer: Answer, language: Language, *, whole: bool
    ) -> Rendered:
        body = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
        headers = [*self._headers, ("Content-Language", TAGS[language])]
        if answer.seq:
            headers.append(("Commit-Seq", str(answer.seq)))
        packing = self._packs and len(body) >= PACKED_BYTES_MIN and takes_packed(environ)
        if self.route.method == "GET":
            etag = _etag(answer.revision, body)
            # Other bytes for the same answer: no strong ETag may be of both (RFC 9110, 8.8.1).
            headers.append(("ETag", f"W/{etag}" if packing else etag))
            if not whole and requests.is_known(environ, etag):
                return Rendered(304, headers, b"")
        elif answer.revision:
            headers.append(("ETag", f'"{answer.revision}"'))
        if answer.location is not None:
            headers.append(("Location", answer.location))
        if packing:
            body = packed(body)
            headers.append(("Content-Encoding", "gzip"))
        headers += (("Content-Type", self._media), ("Content-Length", str(len(body))))
        return Rendered(self.route.status, headers, body)


class Uploads(Handler[P]):
    """A route that takes large bodies, a few at a time: what they fill memory with is bounded."""

    def __init__(self, route: Route[P], parts: P, edge: Edge) -> None:
        super().__init__(route, parts, edge)
        self._room = BoundedSemaphore(UPLOADS_AT_ONCE)

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:
        if not self._room.acquire(blocking=False):
            raise Refused(BUSY, retry_after_seconds=2)
        try:
            return super().answer(environ, path, language)
        finally:
            self._room.release()


def _uploads(binary: Binary) -> Callable[[Environ, Call[Any]], None]:
    """Takes content that is no JSON. Raises Refused(INVALID) where there is none."""
    like = re.compile("|".join(map(re.escape, binary.media_types)), re.IGNORECASE)
    media = requests.Media(binary.media_types, like)

    def take(environ: Environ, call: Call[Any]) -> None:
        call.maybe_upload = requests.body(environ, binary.bytes_max, media)
        if not call.upload:
            raise Refused(INVALID, fields=(field_error("body", "required"),))

    return take


def _etag(revision: int, body: bytes) -> str:
    """Tells exactly these bytes, language and all; the revision in front is what If-Match means."""
    digest = hashlib.blake2b(body, digest_size=8).hexdigest()
    return f'"{revision}-{digest}"' if revision else f'"{digest}"'


def _aged(rendered: Rendered, seconds: float) -> Rendered:
    """The answer, saying how old it may be (RFC 9111, 5.1), and that nobody may make it older."""
    kept = [(name, value) for name, value in rendered.headers if name != "Cache-Control"]
    # A person's own stays what it was, not to be stored; what is public may be kept and asked for.
    own = ("Cache-Control", "no-store") in rendered.headers
    cache = ("Cache-Control", "no-store" if own else "no-cache")
    return Rendered(
        rendered.status, [cache, ("Age", str(math.ceil(seconds))), *kept], rendered.body
    )


class _Identifier(BaseConverter):
    """One id in a path. What cannot be an id is not found, like one that does not exist."""

    regex = r"[A-Za-z0-9_.-]{1,100}"


class Application(Flask):
    """A Flask application in which declared routes, and nothing else, answer requests."""

    def __init__(self, name: str, edge: Edge, condition: Condition) -> None:
        super().__init__(name, static_folder=None)
        # One address for each thing: no redirects from what almost is one.
        self.url_map.strict_slashes = True
        self.url_map.merge_slashes = False
        self.url_map.redirect_defaults = False
        self.url_map.converters["id"] = _Identifier
        self.edge = edge
        self.condition = condition
        self.handlers: dict[str, Answers] = {}
        self._fixed: dict[tuple[str, str], str] = {}
        # Answers do not depend on the host: one adapter serves every request.
        self._addresses = self.url_map.bind("")

    def declare(self, method: str, path: str, handler: Answers) -> None:
        """Let `handler` answer `path`, in which `{…}` stands for an id."""
        name = f"{method} {path}"
        self.handlers[name] = handler
        if "{" not in path:
            self._fixed[method, path] = name
        self.add_url_rule(
            path.replace("{", "<id:").replace("}", ">"),
            endpoint=name,
            methods=[method],
            provide_automatic_options=False,
        )

    def wsgi_app(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request, whatever happens; log it."""
        edge = self.edge
        began = edge.clock.monotonic()
        request_id = requests.request_id(environ) or edge.clock.random(16).hex()
        span = None
        if edge.tracer is not None:
            given = environ.get("HTTP_TRACEPARENT")
            span = edge.tracer.continued(given, request_id, UNKNOWN_ROUTE, began)
        with tracing.within(span or request_id):
            route, rendered, reason = self._answered(environ, request_id)
        method: str = environ["REQUEST_METHOD"]
        edge.log.answered(
            request_id=request_id, method=method, route=route, status=rendered.status, began=began
        )
        seconds = edge.clock.monotonic() - began
        edge.heard.answered(method, route, rendered.status, seconds, reason)
        if span is not None:
            _end(span, method, route, rendered.status)
        return rendered(environ, start_response)

    def _answered(self, environ: Environ, request_id: str) -> tuple[str, Rendered, str]:
        """The route's name, the answer, whatever happens, and the problem where it is one's."""
        language = accepted(environ.get("HTTP_ACCEPT_LANGUAGE"))
        route, reason = UNKNOWN_ROUTE, ""
        try:
            route, path = self._found(environ)
            rendered = self.handlers[route].answer(environ, path, language)
            rendered.headers.append(("X-Request-Id", request_id))
        except Refused as refusal:
            rendered = problems.rendered(refusal, language, request_id)
            reason = refusal.problem.slug
        except MethodNotAllowed as error:
            allow = ", ".join(sorted(error.valid_methods or ()))
            rendered = problems.rendered(Refused(METHOD), language, request_id, ("Allow", allow))
        except HTTPException:
            rendered = problems.rendered(Refused(NOT_FOUND), language, request_id)
        except Exception as error:  # noqa: BLE001 - nobody is to see a stack trace
            self.edge.log.failed(request_id=request_id, route=route, error=error)
            rendered = problems.rendered(Refused(INTERNAL), language, request_id)
        return route, rendered, reason

    def _found(self, environ: Environ) -> tuple[str, dict[str, str]]:
        """The route's name and the ids in its path. Raises werkzeug's NotFound and others."""
        # What has no ids in it is found at once: werkzeug's search takes as long as parsing a head.
        fixed = self._fixed.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if fixed is not None:
            return fixed, {}
        # WSGI hands bytes as Latin-1 text. What is not UTF-8 cannot be an address of ours.
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        rule, ids = self._addresses.match(path, environ["REQUEST_METHOD"], return_rule=True)
        return rule.endpoint, dict(ids)


def _end(span: Span, method: str, route: str, status: int) -> None:
    """Conventions of OpenTelemetry for HTTP servers, but for the address, which has ids in it."""
    span.name = route if route != UNKNOWN_ROUTE else method_of(method)
    span.failed = status >= 500
    span.attributes = {
        "http.request.method": method_of(method),
        "http.route": template_of(route),
        "http.response.status_code": status,
    }
    span.end()


def build(router: Router[P], parts: P, edge: Edge, condition: Condition) -> Application:
    """The application that serves a router's routes, and what every service has beside them."""
    app = Application(router.prefix.strip("/"), edge, condition)
    everywhere = common.routes(router, condition)
    for route in [*router.routes, *everywhere]:
        kind = Uploads if isinstance(route.body, Binary) else Handler
        app.declare(route.method, route.address, kind(route, parts, edge))
    for page in common.pages(router, everywhere):
        app.declare("GET", page.path, page)
    return app
