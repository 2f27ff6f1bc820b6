"""Object stores on which no journal is safe, each by the one thing that is wrong with it."""

from threading import Barrier, local

from shared.storage.memory import MemoryStore
from shared.storage.objects import Absent, ObjectInfo, Uncertain


class IgnoresCondition(MemoryStore):
    """Accepts the create condition and ignores it, as rclone, s3rver and fauxqs do."""

    def create(self, key: str, body: bytes) -> None:
        self.bucket.delete(key)
        super().create(key, body)


class ReplacesAndRefuses(MemoryStore):
    """Says that the key is taken, and replaces the object all the same."""

    def create(self, key: str, body: bytes) -> None:
        try:
            super().create(key, body)
        finally:
            self.bucket.tamper(key, body)


class ChecksThenStores(MemoryStore):
    """Two steps, as moto under threads: racers that both look first both store."""

    def __init__(self) -> None:
        super().__init__()
        self._looked: dict[str, Barrier] = {}

    def create(self, key: str, body: bytes) -> None:
        taken = self.bucket.list(key, "", 1)
        if "race" in key and not taken:
            self._looked.setdefault(key, Barrier(2)).wait(10)
            self.bucket.delete(key)
        super().create(key, body)


class ChecksThenStoresWhenWarm(ChecksThenStores):
    """So quickly that racers who have to connect first do not meet."""

    def __init__(self) -> None:
        super().__init__()
        self._connected = local()

    def get(self, key: str) -> bytes:
        self._connected.yes = True
        return super().get(key)

    def create(self, key: str, body: bytes) -> None:
        if getattr(self._connected, "yes", False):
            super().create(key, body)
        else:
            MemoryStore.create(self, key, body)


class StoresTheLoser(MemoryStore):
    """Tells one racer that it won and keeps another's bytes."""

    def get(self, key: str) -> bytes:
        return b"racer of old" if "race" in key else super().get(key)


class LosesRacersReplies(MemoryStore):
    """Stores, and answers no racer."""

    def create(self, key: str, body: bytes) -> None:
        super().create(key, body)
        if "race" in key:
            raise Uncertain("reply lost")


class AnswersAnything(MemoryStore):
    """A web page, not S3."""

    def get(self, key: str) -> bytes:
        try:
            return super().get(key)
        except Absent:
            return b"<html>Welcome!</html>"


class Versioned(MemoryStore):
    """A bucket that had versioning once."""

    def versioning(self) -> str:
        return "suspended"


class ListsLate(MemoryStore):
    """A listing that comes to show an object only later."""

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return super().list(prefix, after=after, limit=limit)[:-1]


class IgnoresAfter(MemoryStore):
    """A listing that begins at the beginning whatever it is asked."""

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return super().list(prefix, limit=limit)


class Fast(MemoryStore):
    """Its clock is 31 s behind this machine's."""

    def clock_skew_ms(self) -> int | None:
        return -31_000


class Undated(MemoryStore):
    """Says no time."""

    def clock_skew_ms(self) -> int | None:
        return None
