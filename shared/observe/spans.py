"""Where a process's spans go. Apart from what observes a database, so that the gateway's container,
which has none, need not have what one is made of.
"""

import atexit
from typing import TYPE_CHECKING, Protocol

from shared.clock import Clock
from shared.observe import measures
from shared.tracing import Tracer

if TYPE_CHECKING:
    from shared.observe.metrics import Metrics


class Lost(Protocol):
    """Hears of spans that were lost."""

    def __call__(self, spans: int, /) -> object: ...


def tracer_of(
    endpoint: str, service: str, container: str, clock: Clock, metrics: "Metrics | None"
) -> Tracer:
    """A tracer whose spans go to a collector; what is left is handed over when the process ends."""
    # As long as it takes to load, three times over.
    from shared.observe.traces import SpanExport  # noqa: PLC0415

    resource = {"service.name": service, "service.namespace": "smart-gansu"}
    if container:
        resource["service.instance.id"] = container
    export = SpanExport(endpoint, resource, clock, _lost(metrics))
    atexit.register(export.close)
    return Tracer(clock, export.take)


def _lost(metrics: "Metrics | None") -> Lost:
    if metrics is None:
        return int
    return metrics.counter(measures.SPANS_LOST).inc
