"""Refusals on the wire: problem documents of RFC 9457, in the caller's language.

`type` is `/problems/‹slug›`, the same from every service and from the gateway. Nothing that a
person sent is repeated but the name of a field.
"""

import orjson

from shared.errors import FORBIDDEN, UNAUTHENTICATED, Anonymous, Problem, Refused
from shared.language import TAGS, Language
from shared.web.responses import Rendered

MEDIA_TYPE = "application/problem+json"


def type_of(problem: Problem) -> str:
    return f"/problems/{problem.slug}"


def document(refusal: Refused, language: Language, request_id: str) -> dict[str, object]:
    """The problem document; members of `refusal.detail` stand beside the standard ones."""
    problem = refusal.problem
    members: dict[str, object] = {
        **refusal.detail,
        "type": type_of(problem),
        "title": problem.en if language == "en" else problem.zh,
        "status": problem.status,
        "request_id": request_id,
    }
    if refusal.fields:
        members["errors"] = [
            {"field": error.field, "message": error.en if language == "en" else error.zh}
            for error in refusal.fields
        ]
    return members


def rendered(
    refusal: Refused, language: Language, request_id: str, *more: tuple[str, str]
) -> Rendered:
    """The answer to a request that is refused; `more` are further headers."""
    body = orjson.dumps(document(refusal, language, request_id))
    headers = [
        ("Content-Type", MEDIA_TYPE),
        ("Content-Length", str(len(body))),
        ("Content-Language", TAGS[language]),
        ("Cache-Control", "no-store"),
        ("Vary", "Accept-Language"),
        ("X-Request-Id", request_id),
        *more,
    ]
    if refusal.retry_after_seconds is not None:
        headers.append(("Retry-After", str(refusal.retry_after_seconds)))
    if isinstance(refusal, Anonymous):
        headers.append(("WWW-Authenticate", "Bearer"))
    elif refusal.problem is UNAUTHENTICATED:
        headers.append(("WWW-Authenticate", 'Bearer error="invalid_token"'))
    elif refusal.problem is FORBIDDEN:
        headers.append(("WWW-Authenticate", 'Bearer error="insufficient_scope"'))
    return Rendered(refusal.problem.status, headers, body)
