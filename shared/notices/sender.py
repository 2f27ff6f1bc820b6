"""The sender: claims due messages, hands them to a notifier, and notes what became of each.

Each message is settled by itself, right after it was taken: whoever dies in between leaves as many
messages to be sent a second time, under the same ids, as were under way in that moment, at most
`PARALLEL`.
"""

import logging
from concurrent.futures import ThreadPoolExecutor

from shared.clock import Clock
from shared.notices import outbox
from shared.notices.message import Message, Notifier, Unsent
from shared.notices.outbox import Lease, Outcome
from shared.notices.telemetry import SILENT, Telemetry
from shared.storage.access import Database

log = logging.getLogger(__name__)

PARALLEL = 8
"""Messages under way at once: a gateway takes a tenth of a second for each."""

LOOK_SECONDS = 30.0
"""Between looks at an outbox that has nothing due: another consumer may have died with messages."""

PAUSE_SECONDS, PAUSE_SECONDS_MAX = 1.0, 30.0
"""After a lot of which nothing got through: a gateway that is away is not asked for all of them."""


class Sender:
    """From one outbox to one notifier. Used by one thread."""

    def __init__(
        self,
        database: Database,
        notifier: Notifier,
        clock: Clock,
        *,
        parallel: int = PARALLEL,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self._database = database
        self._notifier = notifier
        self._clock = clock
        self._parallel = parallel
        self._telemetry = telemetry
        self._look_at = float("-inf")
        self._pause_seconds = 0.0

    def wake(self) -> None:
        """Say that messages were written down."""
        if not self._pause_seconds:
            self._look_at = float("-inf")

    def step(self) -> float:
        """Send what is due, one lot; in how many seconds there may be more. Raises Refused."""
        wait = self._look_at - self._clock.monotonic()
        if wait > 0:
            return wait
        claimed = outbox.claim(self._database, self._parallel)
        for message_id in claimed.failed:
            log.error("%s is given up: it was tried for too long", message_id)
            self._telemetry.message("given_up")
        wait = self._send(claimed.leases) if claimed.leases else self._idle(claimed.wait_ms)
        self._look_at = self._clock.monotonic() + wait
        return wait

    def _idle(self, wait_ms: int | None) -> float:
        self._pause_seconds = 0.0
        return LOOK_SECONDS if wait_ms is None else min(wait_ms / 1000, LOOK_SECONDS)

    def _send(self, leases: tuple[Lease, ...]) -> float:
        """Send a lot; how long to wait for the next."""
        outcomes = self._deliver_all(leases)
        if Outcome.SENT in outcomes or Outcome.LATER not in outcomes:
            self._pause_seconds = 0.0
        else:
            self._pause_seconds = min(
                max(PAUSE_SECONDS, 2 * self._pause_seconds), PAUSE_SECONDS_MAX
            )
        return self._pause_seconds

    def _deliver_all(self, leases: tuple[Lease, ...]) -> list[Outcome]:
        if len(leases) == 1:
            return [self._deliver(leases[0])]
        with ThreadPoolExecutor(len(leases), thread_name_prefix="notices") as pool:
            return list(pool.map(self._deliver, leases))

    def _deliver(self, lease: Lease) -> Outcome:
        outcome = self._attempt(lease.message)
        outbox.settle(self._database, lease, outcome)
        self._telemetry.message(outcome.value)
        return outcome

    def _attempt(self, message: Message) -> Outcome:
        try:
            self._notifier.send(message)
        except Unsent as unsent:
            until = "for good" if unsent.for_good else "for now"
            log.warning("%s (%s) is unsent %s: %s", message.id, message.kind, until, unsent)
            return Outcome.REFUSED if unsent.for_good else Outcome.LATER
        except Exception:  # one message that breaks the notifier must not hold up the others
            log.exception("%s (%s) broke the notifier", message.id, message.kind)
            return Outcome.LATER
        return Outcome.SENT
