"""What is told of a notifier: a part of `/metrics` of its own, where the settings ask for one."""

import logging
import threading
from typing import TYPE_CHECKING

from shared.clock import Clock, SystemClock
from shared.notices.telemetry import SILENT, Telemetry, Told
from shared.observe import measures
from shared.settings import load_observation

if TYPE_CHECKING:
    from shared.observe.metrics import Metrics

log = logging.getLogger(__name__)


class NoticesMeter:
    """Counts what a notifier tells; `shared.notices.telemetry.Telemetry`."""

    def __init__(self, metrics: "Metrics", clock: Clock) -> None:
        outcomes: tuple[Told, ...] = ("sent", "later", "refused", "given_up")
        # All of them from the start: a rate needs a zero to begin with.
        self._messages = {
            outcome: metrics.counter(measures.NOTICES, outcome=outcome) for outcome in outcomes
        }
        self._level = metrics.gauge(measures.NOTICES_LEVEL)
        self._clock = clock
        # Until it was level once, it is late since it began.
        self.level()

    def message(self, outcome: Told) -> None:
        self._messages[outcome].inc()

    def level(self) -> None:
        self._level.set(self._clock.now_ms() / 1000)


def observing(name: str, stopping: threading.Event) -> Telemetry:
    """Serve `/metrics` of the notifier `name` until it stops, if that is asked for.

    Raises SettingsError. An address that is taken is no reason to tell nobody anything.
    """
    bind = load_observation().metrics_bind
    if not bind:
        return SILENT
    # Imported where it is asked for: the library takes a tenth of a second to load.
    from shared.observe.exposition import serve  # noqa: PLC0415
    from shared.observe.metrics import Metrics  # noqa: PLC0415

    metrics = Metrics(name, measures.NOTIFIERS)
    try:
        serve(bind, metrics.text, stopping)
    except OSError as error:
        log.error("metrics are not served at %s: %s", bind, error)
    return NoticesMeter(metrics, SystemClock())
