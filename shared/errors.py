"""Refusals: what a caller did wrong or cannot have, as values that know nothing of HTTP frameworks.

A `Problem` is one kind of refusal, with the stable slug behind its RFC 9457 `type`; a service's
`domain.py` declares its own beside the common ones here. `Refused` is the exception that domain
code and actions raise; the web glue renders it as a problem document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal: stable slug, HTTP status, title in both languages."""

    slug: str
    status: int
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `field` is its path, such as `lines.0.quantity`."""

    field: str
    zh: str
    en: str


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error of the program
    """The request is refused for a reason that the caller can understand.

    `detail` holds further members of the problem document, JSON values only and nothing personal.
    `retry_after_seconds` is set where the same request may succeed later.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        fields: Sequence[FieldError] = (),
        detail: Mapping[str, object] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(problem.slug)
        self.problem = problem
        self.fields = tuple(fields)
        self.detail = dict(detail or {})
        self.retry_after_seconds = retry_after_seconds


class Anonymous(Refused):
    """Who asks has to be known, and nothing was shown that could say so: no bearer token, good or
    not (RFC 6750, section 3.1, where the two are told apart).
    """

    def __init__(self) -> None:
        super().__init__(UNAUTHENTICATED)


INVALID = Problem("invalid-request", 422, "请求内容有误", "The request has invalid fields")
MALFORMED = Problem("malformed-request", 400, "请求无法解析", "The request cannot be parsed")
KEY_MISSING = Problem(
    "idempotency-key-missing", 400, "缺少 Idempotency-Key", "Idempotency-Key is missing"
)
KEY_REUSED = Problem(
    "idempotency-key-reused",
    422,
    "该 Idempotency-Key 已用于其他请求",
    "This Idempotency-Key was used for another request",
)
UNAUTHENTICATED = Problem("unauthenticated", 401, "请先登录", "Sign in first")
FORBIDDEN = Problem("forbidden", 403, "无权执行此操作", "You may not do this")
NOT_FOUND = Problem("not-found", 404, "未找到", "Not found")
STALE = Problem("stale", 412, "内容已被更改，请刷新", "It has changed since you read it")
PRECONDITION_MISSING = Problem("precondition-missing", 428, "缺少 If-Match", "If-Match is missing")
TOO_LARGE = Problem("too-large", 413, "内容过大", "The request is too large")
METHOD = Problem("method-not-allowed", 405, "不支持此方法", "This address has no such method")
MEDIA = Problem(
    "unsupported-media-type", 415, "不支持的内容类型", "The content is of a type not taken here"
)
INTERNAL = Problem("internal", 500, "系统内部错误", "Something is wrong on our side")
BUSY = Problem("busy", 503, "系统繁忙，请稍后重试", "Busy; try again shortly")
NOT_LIVE = Problem(
    "not-live", 503, "进程已停滞，应重新启动", "The process stands still; restart it"
)
NOT_READY = Problem("not-ready", 503, "服务尚未就绪", "The service is not ready")

COMMON = (
    INVALID,
    MALFORMED,
    KEY_MISSING,
    KEY_REUSED,
    UNAUTHENTICATED,
    FORBIDDEN,
    NOT_FOUND,
    STALE,
    PRECONDITION_MISSING,
    TOO_LARGE,
    METHOD,
    MEDIA,
    INTERNAL,
    BUSY,
    NOT_LIVE,
    NOT_READY,
)
"""What any service may answer, whatever its domain."""


def invalid(field: str, zh: str, en: str) -> Refused:
    """The refusal of one field."""
    return Refused(INVALID, fields=(FieldError(field, zh, en),))
