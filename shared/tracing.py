"""Which request is being served here, and the spans of those few that are looked at closely.

    with tracing.within(tracer.continued(traceparent, request_id, route) or request_id):
        tracing.request_id()                        # for a line of the log
        tracing.traced("prove", lambda: …)          # a span, where the request is among the few

What is here belongs to a greenlet, or to a thread; work that is done `apart` (`shared/waiting.py`)
takes it along. A request that was not chosen costs two assignments and has no span. Spans know
nothing of who collects them: they go to a `Tracer`'s sink when they end.

A trace's id is the gateway's request id. Names and attributes hold no ids of people, no addresses,
queries or bodies: routes' templates, sizes, outcomes, keys of objects in the bucket's journal.
"""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal, TypeVar

from shared.clock import Clock

T = TypeVar("T")

Kind = Literal["server", "client", "internal"]
Attribute = str | int | float | bool

LINKS_MAX = 128
"""Of one span: a batch has at most some hundred requests, and few of them are looked at."""

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0[13]")


class Span:
    """Something that takes a while, within a trace. Times in the clock's monotonic seconds."""

    __slots__ = (
        *("attributes", "began", "ended", "failed", "kind", "links", "name", "parent_id"),
        *("span_id", "trace_id", "_tracer"),
    )

    def __init__(
        self, tracer: "Tracer", name: str, kind: Kind, trace_id: str, parent_id: str, began: float
    ) -> None:
        self._tracer = tracer
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.span_id = tracer.new_id()
        self.began = began
        self.ended = began
        self.failed = False
        self.attributes: dict[str, Attribute] = {}
        self.links: list[tuple[str, str]] = []

    def child(self, name: str, kind: Kind = "internal", began: float | None = None) -> "Span":
        """A span within this one, which begins now unless told when it did."""
        at = self._tracer.now() if began is None else began
        return Span(self._tracer, name, kind, self.trace_id, self.span_id, at)

    def link(self, other: "Span") -> None:
        """Name a span of another trace that it has to do with."""
        if len(self.links) < LINKS_MAX:
            self.links.append((other.trace_id, other.span_id))

    def end(self, at: float | None = None) -> None:
        """It is over, now or then, and goes to whoever collects spans."""
        self.ended = self._tracer.now() if at is None else at
        self._tracer.sink(self)


class Tracer:
    """Makes spans. `sink` takes each when it ends: at once, and from any thread."""

    def __init__(self, clock: Clock, sink: Callable[[Span], object]) -> None:
        self._clock = clock
        self.sink = sink

    def now(self) -> float:
        return self._clock.monotonic()

    def new_id(self) -> str:
        return self._clock.random(8).hex()

    def continued(
        self, traceparent: str | None, request_id: str, name: str, began: float
    ) -> Span | None:
        """The span of a request that the gateway chose to have looked at; None for all others.

        Only the gateway chooses: its trace is its request's id, so that no other header counts.
        """
        if traceparent is None or traceparent.endswith("-00"):
            return None
        given = _TRACEPARENT.fullmatch(traceparent)
        if given is None or given[1] != request_id:
            return None
        return Span(self, name, "server", request_id, given[2], began)


Here = Span | str
"""A request: its span, or, where it was not chosen, its id alone."""

_here: ContextVar[Here] = ContextVar("here", default="")


def here() -> Here:
    """The request that is being served here, to be handed to another thread; "" for none."""
    return _here.get()


def span() -> Span | None:
    """The span in which this runs, of a request that is looked at."""
    found = _here.get()
    return found if isinstance(found, Span) else None


def id_of(at: Here) -> str:
    """A request's id."""
    return at.trace_id if isinstance(at, Span) else at


def request_id() -> str:
    """The id of the request that is being served here, or ""."""
    return id_of(_here.get())


class within:  # noqa: N801 - used as a word; not made of generators: every request goes through
    """Serve that request for the length of the block."""

    __slots__ = ("_at", "_token")

    def __init__(self, at: Here) -> None:
        self._at = at

    def __enter__(self) -> None:
        self._token = _here.set(self._at)

    def __exit__(self, *_: object) -> None:
        _here.reset(self._token)


def is_looked_at() -> bool:
    """Whether the request that is being served is among the few that have spans."""
    return isinstance(_here.get(), Span)


def traced(name: str, work: Callable[[], T], kind: Kind = "internal") -> T:
    """Do `work` in a span of its own, where the request is looked at."""
    parent = _here.get()
    if not isinstance(parent, Span):
        return work()
    own = parent.child(name, kind)
    try:
        with within(own):
            return work()
    except BaseException:
        own.failed = True
        raise
    finally:
        own.end()
