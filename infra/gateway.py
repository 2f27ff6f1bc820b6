"""The gateway: nginx, configured from typed settings.

What belongs here is what a deployment may choose, and the answers that the gateway gives itself;
what nginx does with them is in nginx.conf.jinja.

    install(Gateway(directory, logs, services=(Service("commerce", ("127.0.0.1:9001",)),)))
    subprocess.Popen(nginx.argv(directory))

It answers for itself with problem documents, and a front page, in the language of the request; it
generates the request id that the services' logs and error bodies show; it keeps public answers for
as long as the service's Cache-Control allows, one for each language, plain and compressed.
"""

import grp
import json
import os
import pwd
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra import front, maintenance, nginx
from shared import errors
from shared.errors import Problem, Refused
from shared.language import TAGS, Language
from shared.web import common, problems
from shared.web.responses import NO_CONTENT_AT_ALL

_TEMPLATE = "nginx.conf.jinja"
_SERVICE = re.compile(r"[a-z]{1,32}")

UPLOADS = {"commerce": "/v1/products/[^/]+/picture"}
"""By service, the addresses whose bodies are pictures."""


@dataclass(frozen=True, slots=True)
class Service:
    """One path prefix, `/‹name›/`, and where its containers listen.

    An upstream is `host:port` or `unix:/absolute/path`. With several, reads go round and writes
    go to the first that is up. Where the gateway has a resolver, a host is a name that may stand
    for any number of containers, which come and go. Raises ValueError for a name that cannot be a
    path and a variable.
    """

    name: str
    upstreams: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _SERVICE.fullmatch(self.name):
            raise ValueError(f"a service's name is lower-case letters: {self.name!r}")
        if not self.upstreams:
            raise ValueError(f"{self.name} has no upstream")

    @property
    def uploads(self) -> str:
        """A pattern of the addresses, below the prefix, that take more than other bodies have."""
        return UPLOADS.get(self.name, "")


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the certificate with its chain, and the private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second in the long run, and how many may come at once on top of it."""

    per_second: int
    burst: int


FORWARDED = (
    "Authorization",
    "Commit-Seq",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
)
"""Headers that services read as clients wrote them; Accept-Language and If-None-Match besides."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything that a deployment chooses about its gateway.

    `directory` holds the rendered configuration, cache and temporary files, `logs` the logs.
    `listen` is an address and a port, `also_listen` further ones. `public_host` is what services
    see as Host, whatever a client sends. Where there is TLS, `redirect_from` are addresses of plain
    HTTP: what is read there is found at `https://‹public_host›`.
    `resolver` is the address of a name server, asked anew every `resolver_seconds`; without one,
    names of upstreams are looked up once, at the start.
    `proxies` are networks of whatever passes requests on to the gateway and says for whom, in
    X-Forwarded-For; nobody else is believed.
    `user` matters to a master that runs as root only: the user and group of its workers.

    A request with a bearer token counts against `credential_rate` under that token; any other
    against `anonymous_rate` under its address, which a whole village may share; all of them
    against `address_rate`, the bound on somebody who makes tokens up. Of IPv6 an address is the
    first half, which is what one household has.

    What is uploaded lies on the gateway's disk until a service has it: at most `uploads_max` at a
    time, and `address_uploads` of one address.

    A client may keep silent for `client_seconds` while it sends, a service for `answer_seconds`,
    which is longer than a store call may take. Services must keep idle connections open for longer
    than `upstream_idle_seconds`. A gateway that is told to end gives what is under way
    `drain_seconds`.

    Of `traces_percent` of all requests, a number with at most two decimals, services are told to
    tell spans; None for no traces at all. `telemetry` is one more file for the lines of the access
    log, where that itself is none that `infra/gateway_telemetry.py` could follow.
    """

    directory: Path
    logs: Path
    services: tuple[Service, ...]
    listen: str = "127.0.0.1:8080"
    also_listen: tuple[str, ...] = ()
    redirect_from: tuple[str, ...] = ()
    public_host: str = "localhost"
    resolver: str | None = None
    resolver_seconds: int = 2
    proxies: tuple[str, ...] = ()
    tls: Tls | None = None
    user: str | None = None
    workers: int = 1
    connections: int = 2048
    credential_rate: Rate = Rate(20, 60)
    anonymous_rate: Rate = Rate(100, 400)
    address_rate: Rate = Rate(1000, 2000)
    address_connections: int = 1000
    body_bytes_max: int = 64 * 1024
    picture_bytes_max: int = 5 << 20
    address_uploads: int = 8
    uploads_max: int = 64
    uri_bytes_max: int = 3072
    client_seconds: int = 10
    answer_seconds: int = 15
    cache_mib: int = 256
    upstream_keepalive: int = 64
    upstream_idle_seconds: int = 30
    drain_seconds: int = 20
    forwarded: tuple[str, ...] = FORWARDED
    traces_percent: str | None = None
    telemetry: Path | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway says in place of nginx's own page for `code`."""

    code: int
    problem: Problem
    retry_after_seconds: int | None = None

    @property
    def status(self) -> int:
        """The status that the client sees; nginx has codes of its own for some refusals."""
        return self.problem.status

    @property
    def is_own(self) -> bool:
        """Whether the gateway alone knows what this problem means."""
        return self.problem not in errors.COMMON

    def document(self, language: Language) -> str:
        """The problem document; nginx puts the request's id in."""
        document = problems.document(Refused(self.problem), language, "$request_id")
        return json.dumps(document, ensure_ascii=False)


URI_TOO_LONG = Problem("uri-too-long", 414, "网址过长", "The address is too long")
HEADERS_TOO_LARGE = Problem("headers-too-large", 431, "请求头过大", "The headers are too large")
TOO_MANY = Problem("too-many-requests", 429, "请求过于频繁，请稍后重试", "Too many requests")
HTTPS_ONLY = Problem("https-required", 400, "请使用 HTTPS", "This port speaks HTTPS only")
CODING = Problem(
    "transfer-coding-unknown",
    501,
    "不支持此 Transfer-Encoding",
    "This Transfer-Encoding is not supported",
)
PROTOCOL = Problem(
    "http-version-unknown",
    505,
    "不支持此 HTTP 版本",
    "This version of HTTP is not supported",
)
UNREACHABLE = Problem(
    "service-unreachable",
    502,
    "服务暂时无法连接，请用同一 Idempotency-Key 重试",
    "The service cannot be reached; repeat the request with the same Idempotency-Key",
)
TIMED_OUT = Problem(
    "service-timeout",
    504,
    "服务未及时答复，请用同一 Idempotency-Key 重试",
    "The service did not answer in time; repeat the request with the same Idempotency-Key",
)

# 494 and 497 are nginx's own: headers that do not fit, and plain HTTP on a TLS port.
# What is refused for maintenance is in infra/maintenance.py: its words change while nginx runs.
ANSWERS = (
    Answer(400, errors.MALFORMED),
    Answer(401, errors.UNAUTHENTICATED),
    Answer(404, errors.NOT_FOUND),
    Answer(405, errors.METHOD),
    Answer(412, errors.STALE),
    Answer(413, errors.TOO_LARGE),
    Answer(414, URI_TOO_LONG),
    Answer(429, TOO_MANY, retry_after_seconds=1),
    Answer(494, HEADERS_TOO_LARGE),
    Answer(497, HTTPS_ONLY),
    Answer(500, errors.INTERNAL),
    Answer(501, CODING),
    Answer(502, UNREACHABLE, retry_after_seconds=2),
    Answer(503, errors.BUSY, retry_after_seconds=2),
    Answer(504, TIMED_OUT, retry_after_seconds=2),
    Answer(505, PROTOCOL),
)


def own_user() -> str | None:
    """What `Gateway.user` must be for workers to reach their master's files; None but for root."""
    if os.geteuid() != 0:
        return None
    return f"{pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name}"


def render(gateway: Gateway) -> str:
    """The nginx configuration; relative paths in it start from `gateway.directory`."""
    environment = Environment(  # noqa: S701 - its HTML is made of our own words
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = nginx.quoted
    environment.filters["burst"] = _burst
    return environment.get_template(_TEMPLATE).render(
        gateway=gateway,
        answers=ANSWERS,
        maintenance=maintenance.PROBLEM,
        maintenance_code=maintenance.CODE,
        explained=_explained(),
        described=_described,
        tags=TAGS,
        problem_type=problems.MEDIA_TYPE,
        content_policy=NO_CONTENT_AT_ALL,
        front_policy=front.POLICY,
        front_page=partial(front.page, [service.name for service in gateway.services]),
    )


def install(gateway: Gateway) -> None:
    """Write the configuration, and the folders it names, into `gateway.directory`."""
    for folder in (gateway.logs, gateway.directory / "cache", gateway.directory / "temp"):
        folder.mkdir(parents=True, exist_ok=True)
    (gateway.directory / "nginx.conf").write_text(render(gateway), encoding="utf-8")
    maintenance.install(gateway.directory)


def _explained() -> dict[str, Problem]:
    """The problems whose meaning the gateway alone knows, by what stands in their `type`."""
    own = [answer.problem for answer in ANSWERS if answer.is_own]
    return {problem.slug: problem for problem in (*own, maintenance.PROBLEM)}


def _described(problem: Problem, language: Language) -> str:
    """What a problem's `type` leads to, in the shape that services give it."""
    return json.dumps(common.described(problem, language), ensure_ascii=False)


def _burst(rate: Rate) -> str:
    return f"burst={rate.burst} nodelay" if rate.burst else ""
