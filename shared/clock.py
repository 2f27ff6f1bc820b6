"""The one module that reads time, randomness and ids.

Everything else is handed a `Clock`, so that a test or a simulation can hold time still, make it
jump, and repeat a run exactly.
"""

import os
import time
from typing import Protocol


class Clock(Protocol):
    """Time and randomness as arguments."""

    def now_ms(self) -> int:
        """Wall-clock time, milliseconds since 1970-01-01T00:00Z. May jump either way."""

    def monotonic(self) -> float:
        """Seconds that never go back, comparable between the processes of one machine."""

    def cpu(self) -> float:
        """Seconds of processor time that the calling thread has used."""

    def sleep(self, seconds: float) -> None:
        """Give up the processor for about `seconds`."""

    def random(self, size: int) -> bytes:
        """Return `size` unpredictable bytes."""


class SystemClock:
    """The machine's own clock and random source."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        # CLOCK_MONOTONIC counts from one origin for all processes of a machine, on Linux and macOS.
        return time.monotonic()

    def cpu(self) -> float:
        return time.thread_time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def random(self, size: int) -> bytes:
        return os.urandom(size)


def id_at(prefix: str, now_ms: int) -> str:
    """What ids that `new_id` makes from then on sort behind, and earlier ones before."""
    return f"{prefix}_{now_ms & 0xFFFF_FFFF_FFFF:012x}"


def new_id(prefix: str, now_ms: int, random: bytes) -> str:
    """An opaque id that sorts by time: `‹prefix›_` and the 32 hex digits of a UUIDv7.

    The layout is RFC 9562, section 5.7.

    `random` gives ten bytes. The time inside an id tells its month, which is how an archived
    document is found again.
    """
    value = (now_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(random[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix}_{value:032x}"
