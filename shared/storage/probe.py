"""The start-up probe: whether a bucket keeps what the engine's safety rests on.

Some S3-compatible servers accept the create condition and ignore it, silently; under versioning
others bring deleted keys back. So a process asks before it first writes, in the real bucket and
under the real prefix, and refuses to start on an answer that would let history fork.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier

from shared.clock import Clock
from shared.storage.objects import Absent, Denied, Exists, ObjectStore, StoreError, Uncertain

CLOCK_SKEW_MS_MAX = 30_000

_RACERS, _RACES = 2, 6
"""Pairs, side by side. They find more stores that look first and then write than four racers do
twice; and of three or more who create a key at once, SeaweedFS often lets one wait for a second.
"""


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
        with suppress(Denied, Uncertain), ThreadPoolExecutor(_RACES) as pool:
            list(pool.map(store.delete, made))


def checks(
    store: ObjectStore, place: str, made: list[str], racers: int = _RACERS, races: int = _RACES
) -> list[tuple[str, Callable[[], None]]]:
    """All that is asked, by name, each of which raises UnsafeStore or a StoreError: in this order.

    Keys that they create, all below `place`, are noted in `made`.
    """

    def key(name: str) -> str:
        made.append(place + name)
        return made[-1]

    def race() -> None:
        _check_races(store, [key(f"race-{number:02}") for number in range(races)], racers)

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


def _check_races(store: ObjectStore, keys: list[str], racers: int) -> None:
    """Racing creates of each key, all at once."""
    start = Barrier(len(keys) * racers)
    bodies = [f"racer {number}".encode() for number in range(racers)]

    def run(key: str, body: bytes) -> bool | None:
        try:
            # Connections are made before the start: how long each takes would spread the racers.
            with suppress(StoreError):
                store.get(key)
            start.wait()
        except BaseException:
            start.abort()
            raise
        return _was_stored(store, key, body)

    with ThreadPoolExecutor(len(keys) * racers) as pool:
        try:
            told = [[pool.submit(run, key, body) for body in bodies] for key in keys]
        except BaseException:  # no thread is to be had; those that were wait for it
            start.abort()
            raise
        heard = [
            {body: each.result() for body, each in zip(bodies, racing, strict=True)}
            for racing in told
        ]
        list(pool.map(partial(_judge, store), keys, heard))


def _judge(store: ObjectStore, key: str, told: Mapping[bytes, bool | None]) -> None:
    """At most one is told that it stored, and what is stored is that one's.

    A racer that hears Uncertain (None) proves nothing either way, and slow stores make some do.
    """
    winners = [body for body, stored in told.items() if stored]
    possible = winners or [body for body, stored in told.items() if stored is None]
    if len(winners) > 1 or store.get(key) not in possible:
        raise UnsafeStore(
            f"{len(winners)} of {len(told)} racing creates of one key were told that they stored"
            " it, or another's bytes stand there: creating is not atomic. Use another store."
        )


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
