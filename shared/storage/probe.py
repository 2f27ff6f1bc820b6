"""The start-up probe: whether a bucket keeps what the engine's safety rests on.

Some S3-compatible servers accept the create condition and ignore it, silently; under versioning
others bring deleted keys back. So a process asks before it first writes, in the real bucket and
under the real prefix, and refuses to start on an answer that would let history fork.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

from shared.clock import Clock
from shared.storage.objects import Absent, Denied, Exists, ObjectStore, Uncertain

CLOCK_SKEW_MS_MAX = 30_000

_RACERS = 4
_ROUNDS = 2


class UnsafeStore(Exception):  # noqa: N818 - a verdict
    """The store cannot hold a journal; the message says what failed and what to do."""


def probe(store: ObjectStore, prefix: str, clock: Clock) -> None:
    """Check the store under `‹prefix›probe/`; a few small objects, removed again where allowed.

    Raises UnsafeStore, or a StoreError where the store could not be asked at all.
    """
    made: list[str] = []
    try:
        for _, check in checks(store, f"{prefix}probe/{clock.random(8).hex()}/", made):
            check()
    finally:
        with suppress(Denied, Uncertain):
            for each in made:
                store.delete(each)


def checks(
    store: ObjectStore, place: str, made: list[str], racers: int = 0, rounds: int = _ROUNDS
) -> list[tuple[str, Callable[[], None]]]:
    """All that is asked, by name, each of which raises UnsafeStore or a StoreError: in this order.

    Keys that they create, all below `place`, are noted in `made`.
    """

    def key(name: str) -> str:
        made.append(place + name)
        return made[-1]

    def race() -> None:
        for number in range(rounds):
            _check_race(store, key(f"race-{number:02}"), racers or _RACERS)

    return [
        ("versioning", lambda: _check_versioning(store)),
        ("absence", lambda: _check_absence(store, place + "missing")),
        ("creating", lambda: _check_create(store, key("once"))),
        ("racing", race),
        ("listing", lambda: _check_list(store, place, sorted(made))),
        ("clock", lambda: _check_clock(store)),
    ]


def _check_versioning(store: ObjectStore) -> None:
    state = store.versioning()
    if state != "never":
        raise UnsafeStore(
            f"The bucket's versioning is {state}: keys could be created again. Versioning cannot"
            " be taken back, so use a bucket that never had it."
        )


def _check_absence(store: ObjectStore, key: str) -> None:
    with suppress(Absent):
        store.get(key)
        raise UnsafeStore("The store answers for a key that was never stored. Is this S3?")


def _check_create(store: ObjectStore, key: str) -> None:
    store.create(key, b"first")
    with suppress(Exists):
        store.create(key, b"second")
        raise UnsafeStore(
            "The store accepted a second create of one key: it ignores the create condition."
            " Set GANSU_STORE_PROFILE to the condition it knows, or use another store."
        )
    if store.get(key) != b"first":
        raise UnsafeStore("A refused create replaced the object. Use another store.")


def _check_race(store: ObjectStore, key: str, racers: int) -> None:
    """Racing creates: at most one is told that it stored, and what is stored is that one's.

    A racer that hears Uncertain proves nothing either way, and slow stores make some do.
    """
    bodies = [f"racer {number}".encode() for number in range(racers)]
    told = _race([lambda body=body: _was_stored(store, key, body) for body in bodies])  # type: ignore[misc]
    winners = [body for body, stored in zip(bodies, told, strict=True) if stored]
    possible = winners or [
        body for body, stored in zip(bodies, told, strict=True) if stored is None
    ]
    if len(winners) > 1 or store.get(key) not in possible:
        raise UnsafeStore(
            f"{len(winners)} of {racers} racing creates of one key were told that they stored it,"
            " or another's bytes stand there: creating is not atomic. Use another store."
        )


def _race(runs: list[Callable[[], bool | None]]) -> list[bool | None]:
    barrier = Barrier(len(runs))

    def start(run: Callable[[], bool | None]) -> bool | None:
        barrier.wait()
        return run()

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(start, runs))


def _was_stored(store: ObjectStore, key: str, body: bytes) -> bool | None:
    try:
        store.create(key, body)
    except Exists:
        return False
    except Uncertain:
        return None
    return True


def _check_list(store: ObjectStore, place: str, keys: list[str]) -> None:
    whole = [row.key for row in store.list(place)]
    behind = [row.key for row in store.list(place, after=keys[0], limit=1)]
    if whole != keys or behind != keys[1:2]:
        raise UnsafeStore(
            "A listing does not show, in order, what was just created. The engine needs one that"
            " does: use another store."
        )


def _check_clock(store: ObjectStore) -> None:
    skew_ms = store.clock_skew_ms()
    if skew_ms is None:
        raise UnsafeStore("The store's answers carry no Date, so its clock cannot be compared.")
    if abs(skew_ms) > CLOCK_SKEW_MS_MAX:
        raise UnsafeStore(
            f"This machine's clock and the store's differ by {abs(skew_ms) / 1000:.0f} s; at most"
            f" {CLOCK_SKEW_MS_MAX // 1000} s are allowed. Set the clock (NTP)."
        )
