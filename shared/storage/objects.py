"""`ObjectStore`: the few operations that the engine asks of object storage, and their errors.

The one primitive that safety rests on is `create`: of any number of concurrent creates of one key
at most one is ever stored, and a stored object is never replaced by a create. Every store has it
(`If-None-Match: *`; Alibaba OSS: `x-oss-forbid-overwrite: true`); `probe.py` checks it at start-up.

An operation never retries by itself and ends within its time limit: 2 s to connect, 5 s without a
byte, 10 s in all. What an error means is exactly one of:

- `Absent`: the store said that there is no such key (404 NoSuchKey), and nothing else is absence;
- `Exists`: a create was refused because the key exists *or is being created* (412, 409); it may be
  this very writer's earlier attempt, so the caller reads the key to learn whose it is;
- `Uncertain`: no answer or an unusable one (timeout, connection lost, 5xx, garbled): the operation
  may have been applied, may be applied later, or not at all;
- `Denied`: credentials or permissions (401, 403). Never absence;
- `Misconfigured`: no such bucket, wrong region, an address that is no object store.
"""

from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """An object-store operation did not succeed; the subclass says what that means."""

    meaning = "the object store failed"
    """For an operator, before what the store said."""

    def told(self) -> str:
        """The whole of it in one sentence."""
        return f"{self.meaning}: {self}"


class Absent(StoreError):  # noqa: N818
    """The store answered that the key does not exist."""

    meaning = "the object store has no such object"


class Exists(StoreError):  # noqa: N818
    """A create found the key taken, or being taken."""

    meaning = "the object store has that object already"


class Uncertain(StoreError):  # noqa: N818
    """Whether the operation was applied is not known."""

    meaning = "the object store does not answer"


class Denied(StoreError):  # noqa: N818
    """The store refused the credentials."""

    meaning = "the object store denies access"


class Misconfigured(StoreError):  # noqa: N818
    """There is no such bucket, or no object store at that address."""

    meaning = "the address names no bucket of an object store"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One row of a listing; `size_bytes` as stored."""

    key: str
    size_bytes: int


class ObjectStore(Protocol):
    """One bucket. Thread-safe."""

    def create(self, key: str, body: bytes) -> None:
        """Store a new object; returning means that it is stored. Raises Exists, Uncertain, …"""

    def get(self, key: str) -> bytes:
        """The whole object. Raises Absent, Uncertain, …"""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes (at least one) of an object from `start` on, which it has.

        Raises Absent, and Uncertain also where it has not so many.
        """

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """Keys that begin with `prefix` and sort behind `after`, in order, at most `limit`."""

    def delete(self, key: str) -> None:
        """Remove an object (never one of the journal); a missing one is passed over."""

    def clock_skew_ms(self) -> int | None:
        """The store's clock minus this machine's as of the latest answer; None before one came.

        Precise to about a second: the Date header has no fractions.
        """

    def versioning(self) -> str:
        """The bucket's versioning state: "never", "enabled" or "suspended"."""
