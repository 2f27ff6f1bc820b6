"""What the HTTP edge tells whoever observes it; by default nobody (`UNHEARD`).

    edge.heard.answered("GET", "GET /commerce/v1/orders/{order_id}", 200, 0.004)

Calls come from the thread of all requests, for each: they take a microsecond or two. Whatever they
tell has few values: templates and never addresses, known methods, slugs of problems.
"""

from typing import Protocol

UNKNOWN_ROUTE = "-"
"""What has no route, whatever was asked for."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Heard(Protocol):
    """Listens to one service's edge in one process."""

    def answered(self, method: str, route: str, status: int, seconds: float, reason: str) -> None:
        """A request was answered. `route` is a declared one's name, or `UNKNOWN_ROUTE`; `reason` is
        the slug of the problem that it was refused with, or "".
        """


class _Unheard:
    """Nobody listens."""

    def answered(
        self, method: str, route: str, status: int, seconds: float, reason: str
    ) -> None: ...


UNHEARD: Heard = _Unheard()


def method_of(method: str) -> str:
    """One of few, whatever a client says (OpenTelemetry's own word for the rest)."""
    return method if method in _METHODS else "_OTHER"


def template_of(route: str) -> str:
    """The address of a route, without its method."""
    return route.rpartition(" ")[2]
