"""The process that a service's notices are sent by: `python -m services.‹name›.notify`.

Any number of them may run for one service. It follows the journal about once a second while there
is something, more rarely while there is nothing, and ends in its own time on SIGTERM.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from shared.clock import Clock, SystemClock
from shared.errors import Refused
from shared.notices import heartbeat, outbox
from shared.notices.console import Console
from shared.notices.feed import Feed
from shared.notices.http import HttpGateway
from shared.notices.mapping import CannotTell, Notices
from shared.notices.message import Notifier
from shared.notices.sender import Sender
from shared.notices.telemetry import SILENT, Observing, Telemetry, unobserved
from shared.settings import NotifierSettings, SettingsError, load_notifier
from shared.storage.catalogue import Catalogue
from shared.storage.database import JournalDatabase
from shared.storage.entry import UnreadableEntry
from shared.storage.journal import Journal, JournalGap
from shared.storage.location import store_address
from shared.storage.objects import StoreError
from shared.storage.probe import probe
from shared.storage.s3 import S3Store
from shared.writer import writer_name

log = logging.getLogger(__name__)

T = TypeVar("T")

EVERY_SECONDS, IDLE_SECONDS, TROUBLE_SECONDS = 1.0, 5.0, 30.0
"""Between looks at the journal: at first, while nothing comes, and while something is wrong."""

_CONNECTIONS = 16

_EXPECTED = (StoreError, JournalGap, UnreadableEntry, CannotTell, Refused)


def main(
    service: str,
    catalogue: Catalogue,
    notices: Notices,
    *,
    load: Callable[[], Any] = load_notifier,
    wrapped: Callable[[Any, Notifier], Notifier] = lambda _, notifier: notifier,
    observing: Observing = unobserved,
    idle_seconds: float = IDLE_SECONDS,
) -> int:
    """Send a service's notices until SIGTERM; the exit status. `load` reads the settings,
    `wrapped` puts around the notifier what has to be done to messages at the last moment, and
    `observing` has somebody told how it goes.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    stopping = threading.Event()
    try:
        settings = load()
        telemetry = observing(outbox.database_of(service), stopping)
    except SettingsError as error:
        log.error("the settings cannot be used: %s", error)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.set())
    clock = SystemClock()
    with ExitStack() as ends:
        store = S3Store(store_address(settings), clock, connections=_CONNECTIONS)
        ends.callback(store.close)
        database = open_outbox(settings, store, service, clock)
        ends.callback(database.close)
        notifier = wrapped(settings, _notifier(settings, service, clock, ends))
        journal = Journal(store, f"{settings.store_prefix}{service}/", clock)
        feed = Feed(journal, database, notices, catalogue, clock)
        log.info("notices of %s go to: %s", service, settings.notices)
        sender = Sender(database, notifier, clock, telemetry=telemetry)
        alive = partial(heartbeat.beat, settings.replica_directory, service, clock)
        run(feed, sender, stopping, idle_seconds, alive, telemetry)
        log.info("stopping")
    return 0


def open_outbox(
    settings: NotifierSettings, store: S3Store, service: str, clock: Clock
) -> JournalDatabase:
    """A service's outbox; nothing is asked of the store before the first use."""
    name = outbox.database_of(service)
    prefix = f"{settings.store_prefix}{name}/"
    return JournalDatabase(
        store,
        outbox.CATALOGUE,
        prefix=prefix,
        directory=settings.replica_directory / name,
        clock=clock,
        writer=writer_name(settings.container, clock),
        admit=lambda: probe(store, prefix, clock),
    )


def _notifier(settings: NotifierSettings, service: str, clock: Clock, ends: ExitStack) -> Notifier:
    if settings.notices == "console":
        return Console(sys.stdout)
    gateway = HttpGateway(settings.notices_url, settings.notices_key, service, clock)
    ends.callback(gateway.close)
    return gateway


def run(
    feed: Feed,
    sender: Sender,
    stopping: threading.Event,
    idle_seconds: float = IDLE_SECONDS,
    alive: Callable[[], None] = lambda: None,
    telemetry: Telemetry = SILENT,
) -> None:
    """Follow and send until `stopping` is set; what fails is logged and tried again. `alive` is
    called before each look.
    """
    pause = EVERY_SECONDS
    while not stopping.is_set():
        alive()
        read = _tried(feed.step)
        if read:
            sender.wake()
        due = _tried(sender.step)
        troubled = read is None or due is None
        if read == 0 and due is not None:
            telemetry.level()
        pause = _pause(pause, idle_seconds, busy=bool(read), troubled=troubled)
        stopping.wait(0 if read else min(pause, pause if due is None else due))


def _pause(before: float, idle_seconds: float, *, busy: bool, troubled: bool) -> float:
    if troubled:
        return min(before * 2, TROUBLE_SECONDS)
    return EVERY_SECONDS if busy else min(before * 1.25, idle_seconds)


def _tried(step: Callable[[], T]) -> T | None:
    """What a step gives, None where it failed."""
    try:
        return step()
    except _EXPECTED as error:
        log.error("notices are held up: %s", error)
    except Exception:  # whatever it is, the next attempt may do better
        log.exception("notices are held up")
    return None
