"""The measures as Prometheus has them, and what tells them to it.

    metrics = Metrics("commerce", measures.SERVICES)
    metrics.counter(measures.SHED, reason="busy").inc()

Under gunicorn every process writes its own files, which one process adds up (`exposition.py`):
where PROMETHEUS_MULTIPROC_DIR is set before this is imported. Whoever counts often keeps what it
counts with: finding it by its labels costs more than counting.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from shared.errors import NOT_READY
from shared.observe import measures
from shared.observe.measures import Measure
from shared.storage.telemetry import Outcome
from shared.web.telemetry import method_of, template_of

Failures = Mapping[tuple[str, int], str]
"""Which answers are failed sign-ins, and of which kind: by a route's name and the status."""

_SHEDDING = frozenset({429, 503})


class Metrics:
    """A process's measures."""

    def __init__(self, service: str, measured: Sequence[Measure]) -> None:
        self._service = service
        self.registry = CollectorRegistry()
        self._made: dict[str, Any] = {each.name: self._make(each) for each in measured}

    def _make(self, measure: Measure) -> Counter | Gauge | Histogram:
        named = (measure.name, measure.meaning, ("service", *measure.labels))
        if measure.kind == "counter":
            return Counter(*named, registry=self.registry)
        if measure.kind == "gauge":
            mode = measure.together or "all"
            return Gauge(*named, registry=self.registry, multiprocess_mode=mode)
        return Histogram(*named, registry=self.registry, buckets=measure.buckets)

    def text(self) -> bytes:
        """All that a process alone has counted, as Prometheus reads it."""
        return generate_latest(self.registry)

    def counter(self, measure: Measure, **labels: str) -> Counter:
        found: Counter = self._child(measure, labels)
        return found

    def gauge(self, measure: Measure, **labels: str) -> Gauge:
        found: Gauge = self._child(measure, labels)
        return found

    def histogram(self, measure: Measure, **labels: str) -> Histogram:
        found: Histogram = self._child(measure, labels)
        return found

    def _child(self, measure: Measure, labels: Mapping[str, str]) -> Any:
        return self._made[measure.name].labels(service=self._service, **labels)


class EngineMeter:
    """Counts what a database's engine tells; `shared.storage.telemetry.Telemetry`."""

    def __init__(self, metrics: Metrics, database: str) -> None:
        outcomes: tuple[Outcome, ...] = ("applied", "lost_race", "undecided", "refused")
        # All of them from the start: a rate needs a zero to begin with.
        self._commits = {
            outcome: metrics.counter(measures.COMMITS, database=database, outcome=outcome)
            for outcome in outcomes
        }
        self._batch = metrics.histogram(measures.BATCH_SIZE, database=database)
        self._wait = metrics.histogram(measures.QUEUE_WAIT, database=database)

    def batch(self, changes: int) -> None:
        self._batch.observe(changes)

    def commit(self, outcome: Outcome) -> None:
        self._commits[outcome].inc()

    def waited(self, seconds: Sequence[float]) -> None:
        for each in seconds:
            self._wait.observe(each)


class StoreMeter:
    """Counts requests to the object store; `shared.observe.store.Requests`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._requests: dict[tuple[str, str], Histogram] = {}

    def answered(self, operation: str, outcome: str, seconds: float, *, is_error: bool) -> None:
        requests = self._requests.get((operation, outcome))
        if requests is None:
            requests = self._requests[operation, outcome] = self._metrics.histogram(
                measures.STORE_SECONDS_TAKEN, operation=operation, outcome=outcome
            )
        requests.observe(seconds)
        if is_error:
            self._metrics.counter(measures.STORE_ERRORS, operation=operation, kind=outcome).inc()


class EdgeMeter:
    """Counts what the HTTP edge tells; `shared.web.telemetry.Heard`."""

    def __init__(self, metrics: Metrics, failures: Failures) -> None:
        self._metrics = metrics
        self._failures = failures
        self._requests: dict[tuple[str, str, int], Histogram] = {}
        for kind in failures.values():
            metrics.counter(measures.SIGN_IN_FAILURES, kind=kind)

    def answered(self, method: str, route: str, status: int, seconds: float, reason: str) -> None:
        # Three things of which the program knows all that they can be, but for a made-up method.
        known = (method_of(method), route, status)
        requests = self._requests.get(known)
        if requests is None:
            requests = self._requests[known] = self._found(*known)
        requests.observe(seconds)
        if status in _SHEDDING and reason != NOT_READY.slug:
            self._metrics.counter(measures.SHED, reason=reason or f"status-{status}").inc()
        if (kind := self._failures.get((route, status))) is not None:
            self._metrics.counter(measures.SIGN_IN_FAILURES, kind=kind).inc()

    def _found(self, method: str, route: str, status: int) -> Histogram:
        return self._metrics.histogram(
            measures.REQUESTS, method=method, route=template_of(route), status=str(status)
        )
