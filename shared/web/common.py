"""What every service answers beside its own routes: health, problem types, its documentation.

Health and problem types are routes like any other. The OpenAPI document and the page to try it are
fixed bytes, made when they are first asked for.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from shared.condition import Check, Condition
from shared.errors import COMMON, NOT_FOUND, NOT_LIVE, NOT_READY, Problem, Refused
from shared.language import TAGS, Language, Words
from shared.schemas import Choice, Instant, Items, Schema, Text, Whole
from shared.times import instant
from shared.web import openapi, requests
from shared.web.problems import type_of
from shared.web.requests import Environ
from shared.web.responses import Rendered, packed, takes_packed
from shared.web.routes import Answer, Call, Public, Route, Router

_NEVER_KEPT = Public(max_age_seconds=0)
_HOUR = Public(max_age_seconds=3600, stale_seconds=86_400)
_FOLDER = Path(__file__).parent / "docs"

# The page runs its own script on its own service, and nothing else.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class LiveSchema(Schema):
    """That a process moves."""

    status = Choice("live")


class CheckSchema(Schema):
    """How one thing is, since when; and, for whoever asks past the gateway, why and what to do."""

    name = Text(40)
    state = Choice("ok", "degraded", "failing")
    since = Instant()
    says = Text(2000, required=False)
    advice = Text(2000, minimum=0, required=False)


class ReadySchema(Schema):
    """How a container is: `degraded` serves reads, and not everything else."""

    status = Choice("ready", "degraded")
    checks = Items(CheckSchema, 20)


class ProblemTypeSchema(Schema):
    """One kind of refusal."""

    type = Text(200)
    status = Whole(400, 599)
    title = Text(200)
    title_zh = Text(200)
    title_en = Text(200)


def routes(router: Router[Any], condition: Condition) -> list[Route[Any]]:
    """Health, under the service; problem types, at the address that `type` gives."""
    health = Router[Any](router.prefix, router.title)

    # Not apart: a silent store may keep every thread waiting, and that must not look like a death.
    @health.route(
        "GET /health/live",
        _LIVE,
        answer=LiveSchema,
        public=_NEVER_KEPT,
        problems=(NOT_LIVE,),
        apart=False,
    )
    def live(_: Call[Any]) -> Answer:
        stuck = condition.stuck()
        if stuck:
            raise Refused(NOT_LIVE, detail={"troubles": stuck})
        return Answer({"status": "live"})

    # Nor is this, for the same reason; what takes its time is looked at in a thread of its own.
    @health.route(
        "GET /health/ready",
        _READY,
        answer=ReadySchema,
        public=_NEVER_KEPT,
        problems=(NOT_READY,),
        apart=False,
    )
    def readiness(call: Call[Any]) -> Answer:
        checks = condition.checks()
        told = [_told(check, brief=call.forwarded) for check in checks]
        failing = [check for check in checks if check.state == "failing"]
        if failing:
            troubles = [check.name if call.forwarded else check.says for check in failing]
            detail = {"troubles": troubles, "checks": told}
            raise Refused(NOT_READY, detail=detail, retry_after_seconds=5)
        degraded = any(check.state != "ok" for check in checks)
        return Answer({"status": "degraded" if degraded else "ready", "checks": told})

    types = Router[Any]("", router.title)
    known = {problem.slug: problem for problem in _problems(router)}

    @types.route("GET /problems/{slug}", _TYPE, answer=ProblemTypeSchema, public=_HOUR)
    def problem_type(call: Call[Any]) -> Answer:
        problem = known.get(call.path["slug"])
        if problem is None:
            raise Refused(NOT_FOUND)
        return Answer(described(problem, call.language))

    return [*health.routes, *types.routes]


_LIVE = Words("进程在运行", "The process moves")
_READY = Words("可以提供服务", "The service can serve")
_TYPE = Words("一种拒绝的含义", "What one kind of refusal means")


def _told(check: Check, *, brief: bool) -> dict[str, object]:
    """Sentences name paths, keys and what a store said: for operators, not for everybody."""
    told: dict[str, object] = {
        "name": check.name,
        "state": check.state,
        "since": instant(check.since_ms),
    }
    return told if brief else {**told, "says": check.says, "advice": check.advice}


def _problems(router: Router[Any]) -> set[Problem]:
    return {*COMMON, *(problem for route in router.routes for problem in route.problems)}


def described(problem: Problem, language: Language) -> dict[str, object]:
    """What a problem's type leads to; the gateway says the same of its own."""
    return {
        "type": type_of(problem),
        "status": problem.status,
        "title": problem.en if language == "en" else problem.zh,
        "title_zh": problem.zh,
        "title_en": problem.en,
    }


@dataclass(slots=True)
class FixedPage:
    """Bytes that depend on the language alone, made once."""

    path: str
    media_type: str
    make: Callable[[Language], bytes]
    made: dict[Language, tuple[str, bytes, bytes]] = field(default_factory=dict)
    """Its ETag, its bytes, and those packed."""

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:  # noqa: ARG002
        if language not in self.made:
            body = self.make(language)
            etag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
            self.made[language] = etag, body, packed(body)
        etag, plain, small = self.made[language]
        packing = takes_packed(environ)
        headers = [
            ("Cache-Control", "public, max-age=60, stale-while-revalidate=600"),
            ("Vary", "Accept-Language, Accept-Encoding"),
            ("Content-Language", TAGS[language]),
            ("ETag", f"W/{etag}" if packing else etag),
        ]
        if requests.is_known(environ, etag):
            return Rendered(304, headers, b"", _POLICY)
        body = small if packing else plain
        if packing:
            headers.append(("Content-Encoding", "gzip"))
        headers += (("Content-Type", self.media_type), ("Content-Length", str(len(body))))
        return Rendered(200, headers, body, _POLICY)


def pages(router: Router[Any], everywhere: Sequence[Route[Any]]) -> list[FixedPage]:
    """The OpenAPI document and the page to try it, which loads nothing from elsewhere."""

    def description(language: Language) -> bytes:
        return orjson.dumps(openapi.document(router, [*router.routes, *everywhere], language))

    def asset(name: str) -> Callable[[Language], bytes]:
        return lambda _: (_FOLDER / name).read_bytes()

    prefix = router.prefix
    return [
        FixedPage(f"{prefix}/openapi.json", "application/openapi+json", description),
        FixedPage(f"{prefix}/docs", "text/html; charset=utf-8", asset("page.html")),
        FixedPage(f"{prefix}/docs/page.js", "text/javascript; charset=utf-8", asset("page.js")),
        FixedPage(f"{prefix}/docs/page.css", "text/css; charset=utf-8", asset("page.css")),
        FixedPage(f"{prefix}/docs/icon.svg", "image/svg+xml", asset("icon.svg")),
    ]
