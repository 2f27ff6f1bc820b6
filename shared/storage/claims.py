"""Claims: which of a journal's containers makes what is derived from it, once, with no clock.

    ‹folder›claims/‹20-digit seq›-‹times›

A claim names the newest one that was made, by its entry, and how often over the next one is due.
Containers compete for it by create-if-absent, so one of them wins. If it dies, the journal grows
and the work is due once more over: another claim, for anybody.
"""

from contextlib import suppress

from shared.storage.objects import Denied, Exists, ObjectStore


class Claims:
    """The claims on what is kept in one folder of a bucket."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store = store
        self._folder = f"{folder}claims/"

    def name(self, seq: int, times: int) -> str | None:
        """The claim on what follows entry `seq`, `times` times due; None if it is not due."""
        return f"{self._folder}{seq:020d}-{times}" if times > 0 else None

    def take(self, claim: str) -> bool:
        """Whether the caller is to do the work."""
        try:
            self._store.create(claim, b"{}")
        except Exists:
            return False
        return True

    def clear(self, seq: int) -> None:
        """Remove the claims on what follows entries before `seq`; who may not, leaves them."""
        with suppress(Denied):
            for info in self._store.list(self._folder):
                if info.key < f"{self._folder}{seq:020d}":
                    self._store.delete(info.key)
