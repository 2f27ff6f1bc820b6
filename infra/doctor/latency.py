"""How long the store takes, and what that makes of the platform."""

from collections.abc import Callable, Iterator

from infra.doctor.finding import Finding, trouble
from shared.clock import Clock
from shared.storage.objects import ObjectStore, StoreError

ROUNDS = 30
BODY_BYTES = 4 << 10
"""About an entry of a few orders."""

_GOOD_MS, _BAD_MS = 100.0, 500.0
"""A request of a citizen's that writes waits for one to two PUTs, and a fresh read for one GET."""


def latency(store: ObjectStore, place: str, made: list[str], clock: Clock) -> Iterator[Finding]:
    """One finding for each operation, below `place`. What is created is noted in `made`."""
    body = bytes(BODY_BYTES)
    keys = [f"{place}{number:03}" for number in range(ROUNDS)]
    made += keys
    operations: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("PUT", lambda key: store.create(key, body)),
        ("GET", store.get),
        ("LIST", lambda _: store.list(place)),
    )
    for name, operation in operations:
        try:
            took = sorted(_timed(operation, key, clock) for key in keys)
        except StoreError as error:
            yield trouble(f"latency of {name}", error)
            return
        yield _judged(name, took)


def _timed(operation: Callable[[str], object], key: str, clock: Clock) -> float:
    began = clock.monotonic()
    operation(key)
    return (clock.monotonic() - began) * 1000


def _judged(name: str, took_ms: list[float]) -> Finding:
    half, most, longest = took_ms[len(took_ms) // 2], took_ms[int(len(took_ms) * 0.95)], took_ms[-1]
    said = (
        f"{name}: half within {half:.1f} ms, 95 of 100 within {most:.1f}, all within {longest:.1f}."
    )
    if name == "PUT":
        entries = max(1, round(1000 / max(half, 1)))
        said += f" One container makes at most some {entries} entries a second."
    if half <= _GOOD_MS and most <= _BAD_MS:
        return Finding("well", f"latency of {name}", said)
    return Finding(
        "note",
        f"latency of {name}",
        said,
        "People will feel it. Bring the store nearer, look at its disks and its load, and on Ceph"
        " set tcp_nodelay=1.",
    )
