"""From settings to what a service tells of itself; silent where nobody asked. Called by assembly.

observer = observing(load_observation(), settings, "commerce", clock)
store = observer.store(S3Store(…))
database = JournalDatabase(…, telemetry=observer.engine("commerce"))
observer.watch("commerce", database, condition)
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.clock import Clock
from shared.condition import Condition
from shared.observe import measures, room
from shared.observe.spans import tracer_of
from shared.observe.store import ObservedStore
from shared.settings import ObservationSettings, Settings, StoreSettings
from shared.storage.database import JournalDatabase
from shared.storage.objects import ObjectStore
from shared.storage.telemetry import SILENT, Telemetry
from shared.tracing import Tracer
from shared.web.log import EngineLines, RequestLog
from shared.web.telemetry import UNHEARD, Heard

if TYPE_CHECKING:
    from shared.observe.metrics import Failures, Metrics

log = logging.getLogger(__name__)

FOLDER = "metrics"
"""Beside the replicas of a container: what its processes count."""


def folder_of(settings: StoreSettings) -> Path:
    """Where a container's processes write what they count."""
    return settings.replica_directory / FOLDER


@dataclass(frozen=True, slots=True)
class Observer:
    """What a process tells: nothing is counted without `metrics`, or traced without `tracer`."""

    clock: Clock
    folder: Path
    metrics: "Metrics | None" = None
    tracer: Tracer | None = None

    def store(self, store: ObjectStore) -> ObjectStore:
        """The same store, measured."""
        if self.metrics is None and self.tracer is None:
            return store
        if self.metrics is None:
            return ObservedStore(store, self.clock, None)
        from shared.observe.metrics import StoreMeter  # noqa: PLC0415 - loaded already

        return ObservedStore(store, self.clock, StoreMeter(self.metrics))

    def engine(self, database: str) -> Telemetry:
        """Who listens to a database's engine."""
        if self.metrics is None:
            return SILENT
        from shared.observe.metrics import EngineMeter  # noqa: PLC0415 - loaded already

        return EngineMeter(self.metrics, database)

    def edge(self, failures: "Failures") -> Heard:
        """Who listens to the HTTP edge."""
        if self.metrics is None:
            return UNHEARD
        from shared.observe.metrics import EdgeMeter  # noqa: PLC0415 - loaded already

        return EdgeMeter(self.metrics, failures)

    def watch(self, name: str, database: JournalDatabase, condition: Condition) -> None:
        """Look after a database, in a thread, for as long as the process lives."""
        if self.metrics is None:
            return
        from shared.observe.watch import Watch  # noqa: PLC0415 - it needs the library

        def ready() -> bool:
            condition.checks()
            return condition.is_ready()

        self.folder.mkdir(parents=True, exist_ok=True)
        Watch(
            self.metrics,
            name,
            database.watched,
            ready,
            database.pulse.clock_skew_ms,
            self.folder / "watch.lock",
            self.clock,
        ).start()


def observing(
    asked: ObservationSettings, settings: Settings, service: str, clock: Clock
) -> Observer:
    """What a service's process tells, as it was asked to. From here on what the engine and
    libraries log goes to the service's log.
    """
    logging.getLogger().handlers = [EngineLines(RequestLog(service, clock))]
    metrics = _metrics(service, folder_of(settings)) if asked.metrics_bind else None
    tracer = None
    if asked.traces_endpoint:
        tracer = tracer_of(asked.traces_endpoint, service, settings.container, clock, metrics)
    return Observer(clock, folder_of(settings), metrics, tracer)


def _metrics(service: str, folder: Path) -> "Metrics | None":
    """None where there is no room for them: a full disk is no reason not to serve."""
    try:
        room.take(folder, str(os.getpid()), measures.SERVICES)
    except OSError as error:
        log.error("this process counts nothing until it is started again: %s", error)
        return None
    # Imported where it is asked for: the library takes a tenth of a second to load.
    from shared.observe.metrics import Metrics  # noqa: PLC0415

    return Metrics(service, measures.SERVICES)
