"""Routes as declarations: everything about a route stands in one place, and nothing else decides.

    router = Router[Parts]("/commerce", Words("商城", "Commerce"))

    @router.route(
        "POST /v1/orders",
        Words("下单", "Place an order"),
        scope="orders:write",
        body=NewOrderSchema,
        answer=OrderSchema,
        problems=(SOLD_OUT,),
    )
    def place_order(call: Call[Parts]) -> Answer: ...

The method says the rest. A POST needs an Idempotency-Key and answers 201; a PATCH or PUT needs
If-Match; a GET answers 304 to a matching If-None-Match. A route that is neither `public` nor
asks for a scope cannot be declared.

Whoever acts for somebody else (a token with `act`) reaches only what is `for_others`: the citizens'
own routes, unless a route says otherwise. A route of merchants, staff or operators never is.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from shared import errors
from shared.auth.acting import Open
from shared.auth.tokens import Identity
from shared.errors import Problem
from shared.language import Language, Words
from shared.schemas import PageQuery, Schema
from shared.storage.access import FRESH, Claim, Committed, Freshness, Position

P = TypeVar("P")
T = TypeVar("T")

METHODS = frozenset({"GET", "POST", "PUT", "PATCH"})

CITIZEN = frozenset({"citizen"})
"""The roles of a route that is for a person's own affairs."""

_PARAMETER = re.compile(r"\{([a-z_]+)\}")


OUTAGE_SECONDS = 24 * 3600
"""While nobody can write, what was last known is most likely still so; a day later nobody should
decide by it (docs/decisions/0130)."""


@dataclass(frozen=True, slots=True)
class Public:
    """A route for everyone. Anyone may keep its answer for `max_age_seconds`, and serve it for
    `stale_seconds` more while a newer one is fetched, or while the service is down. 0: not at all.

    While the store is away the service itself answers from what it last knew, for `outage_seconds`,
    and says how old that is.
    """

    max_age_seconds: int
    stale_seconds: int = 0
    outage_seconds: int = OUTAGE_SECONDS

    @property
    def cache_control(self) -> str:
        if not self.max_age_seconds:
            return "no-store"
        stale = self.stale_seconds
        return (
            f"public, max-age={self.max_age_seconds},"
            f" stale-while-revalidate={stale}, stale-if-error={stale}"
        )


@dataclass(frozen=True, slots=True)
class Binary:
    """Content that is no JSON: bytes of one of `media_types`, at most `bytes_max` of them."""

    media_types: tuple[str, ...]
    bytes_max: int


@dataclass(slots=True)
class Answer:
    """What a view gives back: JSON values, and what the headers need to know.

    `body` is bytes where the route answers something Binary. `seq` is the journal entry that the
    answer rests on, `revision` the document's; 0 for none.
    """

    body: object
    seq: int = 0
    revision: int = 0
    location: str | None = None


class Row(Protocol):
    """One row of a list, which continues behind `position`."""

    @property
    def position(self) -> Position: ...


R = TypeVar("R", bound=Row)


@dataclass(slots=True)
class Page:
    """One page of a list: `limit` rows behind `after`."""

    limit: int
    after: Position | None
    seal: Callable[[Position], str]

    @property
    def fetch(self) -> int:
        """How many rows to ask for: one more than are shown tells whether the list goes on."""
        return self.limit + 1

    def answer(self, found: Committed[list[R]], render: Callable[[R], object]) -> Answer:
        """The page as JSON: `items`, and the `after` of the next page or null."""
        rows = found.value[: self.limit]
        more = len(found.value) > self.limit
        body = {
            "items": [render(row) for row in rows],
            "after": self.seal(rows[-1].position) if more else None,
        }
        return Answer(body, found.seq)


@dataclass(slots=True)
class Call(Generic[P]):
    """One request, checked. `query` and `body` hold what the route's schemas made of it.

    `claim` is a POST's, `revision` what a PATCH or PUT says it read, `page` a list's, `upload` the
    bytes that a route takes in place of JSON; asking for one that the route does not have is an
    error of the program. `delegation_of` opens what documents keep of a delegation. `age_seconds`
    is set where the store is away and the answer may be so old. `forwarded`: it came through the
    gateway, so from anybody.
    """

    parts: P
    identity: Identity
    language: Language
    path: dict[str, str]
    query: dict[str, Any]
    body: dict[str, Any]
    at_least_seq: int = 0
    maybe_claim: Claim | None = None
    maybe_page: Page | None = None
    maybe_revision: int | None = None
    maybe_upload: bytes | None = None
    maybe_open: Open | None = None
    outage_seconds: int = 0
    age_seconds: float | None = None
    forwarded: bool = False

    @property
    def delegation_of(self) -> Open:
        return _given(self.maybe_open)

    @property
    def claim(self) -> Claim:
        return _given(self.maybe_claim)

    @property
    def page(self) -> Page:
        return _given(self.maybe_page)

    @property
    def revision(self) -> int:
        return _given(self.maybe_revision)

    @property
    def upload(self) -> bytes:
        return _given(self.maybe_upload)

    def freshness(self, usual: Freshness = FRESH) -> Freshness:
        """How fresh a read has to be: as usual, or at the entry that the caller's Commit-Seq names
        (who sends back what a write answered reads that write, without a probe).
        """
        # A decision, and what is a citizen's own, is never answered from what was known once.
        outage = self.outage_seconds if usual.bound_seconds else 0
        return Freshness(usual.bound_seconds, self.at_least_seq, outage, self._has_age)

    def _has_age(self, seconds: float) -> None:
        self.age_seconds = max(seconds, self.age_seconds or 0.0)


def _given(value: T | None) -> T:
    if value is None:
        raise TypeError("the route declares nothing of the kind")
    return value


View = Callable[[Call[P]], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[P]):
    """One declared route; see the module's docstring. Raises ValueError where it cannot stand."""

    method: str
    path: str
    summary: Words
    view: View[P]
    status: int
    answer: type[Schema] | Binary
    prefix: str
    public: Public | None = None
    scope: str | None = None
    roles: frozenset[str] = frozenset()
    for_others: bool = False
    body: type[Schema] | Binary | None = None
    query: type[Schema] | None = None
    declared_problems: tuple[Problem, ...] = ()
    declared_apart: bool | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS or not self.path.startswith("/"):
            raise ValueError(f"{self.name}: a route is a method and a path")
        if (self.public is None) == (self.scope is None):
            raise ValueError(f"{self.name}: a route is public or asks for a scope")
        if self.roles and self.public is not None:
            raise ValueError(f"{self.name}: a public route cannot ask for a role")
        if self.for_others and self.roles != CITIZEN:
            raise ValueError(f"{self.name}: only a citizen's own routes are for others")
        if self.method != "GET" and self.public is not None:
            raise ValueError(f"{self.name}: only reads are public")
        if isinstance(self.answer, Binary) and len(self.answer.media_types) != 1:
            raise ValueError(f"{self.name}: an answer is of one media type")

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def address(self) -> str:
        """The whole path, with `{…}` for ids."""
        return self.prefix + self.path

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return _PARAMETER.findall(self.path)

    @property
    def paged(self) -> bool:
        return self.query is not None and issubclass(self.query, PageQuery)

    @property
    def once(self) -> bool:
        """Whether the route runs at most once for each Idempotency-Key."""
        return self.method == "POST"

    @property
    def conditional(self) -> bool:
        """Whether the route needs If-Match."""
        return self.method in {"PATCH", "PUT"}

    @property
    def apart(self) -> bool:
        """Whether the view may wait for something but the engine's commits and proofs: a search
        for its index, a picture for the store or the processor. Such a view has a thread of its
        own (`shared/waiting.py`); the others share one.
        """
        if self.declared_apart is not None:
            return self.declared_apart
        return self.public is not None or Binary in (type(self.body), type(self.answer))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that the route may answer beside its own answer: declared and implied."""
        found = [*self.declared_problems, errors.INVALID, errors.MALFORMED, errors.BUSY]
        if self.scope is not None:
            found += [errors.UNAUTHENTICATED, errors.FORBIDDEN]
        if self.parameters:
            found.append(errors.NOT_FOUND)
        if self.method != "GET":
            found += [errors.TOO_LARGE, errors.MEDIA]
        if self.once:
            found += [errors.KEY_MISSING, errors.KEY_REUSED]
        if self.conditional:
            found += [errors.PRECONDITION_MISSING, errors.STALE]
        return tuple(dict.fromkeys(found))


@dataclass
class Router(Generic[P]):
    """Routes under one prefix. `P` is what their views work with."""

    prefix: str
    title: Words
    routes: list[Route[P]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for place, route in enumerate(self.routes):
            _check_new(route, self.routes[:place])

    def route(
        self,
        name: str,
        summary: Words,
        *,
        answer: type[Schema] | Binary,
        public: Public | None = None,
        scope: str | None = None,
        roles: Iterable[str] = (),
        for_others: bool | None = None,
        body: type[Schema] | Binary | None = None,
        query: type[Schema] | None = None,
        status: int | None = None,
        problems: tuple[Problem, ...] = (),
        apart: bool | None = None,
    ) -> Callable[[View[P]], View[P]]:
        """Declare the decorated view as the route `name`, a method and a path below the service.

        `roles`: the caller has to have one of them. `for_others`: whether somebody may act here for
        the person; unless said, where the citizen alone is asked for. `problems`: what the view may
        refuse beyond what every route of its kind may. `apart`: whether it may wait for something
        but the database; unless said, where it is public or of pictures. Raises ValueError where
        the declaration cannot stand.
        """
        method, _, path = name.partition(" ")
        asked = frozenset(roles)

        def declare(view: View[P]) -> View[P]:
            route = Route(
                prefix=self.prefix,
                method=method,
                path=path,
                summary=summary,
                view=view,
                status=status or (201 if method == "POST" else 200),
                answer=answer,
                public=public,
                scope=scope,
                roles=asked,
                for_others=asked == CITIZEN if for_others is None else for_others,
                body=body,
                query=query,
                declared_problems=problems,
                declared_apart=apart,
            )
            _check_new(route, self.routes)
            self.routes.append(route)
            return view

        return declare


def _check_new(route: Route[Any], others: Iterable[Route[Any]]) -> None:
    if any(route.name == other.name for other in others):
        raise ValueError(f"{route.name} is declared twice")
