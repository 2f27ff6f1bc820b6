"""`Fetcher`: runs queries and changes that may come to the archive, and fetches what they want.

Fetching is done between two runs, outside of any transaction, with at most two reads of a volume
for each thing that is wanted.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from shared import waiting
from shared.storage.access import Change, Transaction
from shared.storage.archive import AT_ONCE_MAX, ROUNDS_MAX, Fetched, Wanted
from shared.storage.objects import Absent, ObjectStore, StoreError
from shared.storage.pending import busy
from shared.storage.transaction import BatchTransaction
from shared.storage.volume import VolumeDamaged

log = logging.getLogger(__name__)

T = TypeVar("T")


class Fetcher:
    """One process's way into the archive of the journal under `prefix`.

    `catch_up` brings the replica to the journal's head; it raises StoreError or Refused.
    """

    def __init__(self, store: ObjectStore, prefix: str, catch_up: Callable[[], object]) -> None:
        self._store = store
        self._prefix = prefix
        self._catch_up = catch_up

    def run(self, work: Callable[[Fetched], T]) -> T:
        """Do `work` with what was fetched, again each time it wants more of the archive.

        Raises what it raises, and Refused(BUSY) where the archive cannot be read, or too much of it
        is wanted.
        """
        fetched = Fetched()
        for _ in range(ROUNDS_MAX):
            try:
                # Looking through many volumes must not hold up the requests of the same thread.
                return waiting.apart(lambda: work(fetched)) if fetched.walks else work(fetched)
            except Wanted as wanted:
                self._fetch_apart(fetched, wanted)
        raise busy()

    def _fetch_apart(self, fetched: Fetched, wanted: Wanted) -> None:
        fetched.walks = fetched.walks or not wanted.wants
        if wanted.wants:
            waiting.apart(lambda: self._fetch(fetched, wanted))

    def _fetch(self, fetched: Fetched, wanted: Wanted) -> None:
        take = partial(fetched.take, self._store, self._prefix)
        try:
            if len(wanted.wants) == 1:
                take(*wanted.wants)
                return
            with ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="archive") as pool:
                list(pool.map(take, wanted.wants))
        except Absent as error:
            # The volume was superseded meanwhile: here already, or this replica has yet to hear of
            # it. Who then comes to the same one again has found one that is lost.
            self._catch_up()
            if fetched.miss(wanted.wants):
                log.error("an archived volume is missing: %s", error)
                raise busy() from error
        except (StoreError, VolumeDamaged) as error:
            log.warning("the archive cannot be read: %s", error)
            raise busy() from error


def with_archive(fetched: Fetched, change: Change[T]) -> Change[T]:
    """A change whose transactions find what was fetched."""

    def going_on(tx: Transaction) -> T:
        if isinstance(tx, BatchTransaction):
            tx.go_on(fetched)
        return change(tx)

    return going_on
