"""What the store does. The start-up probe's checks, with more racers, and what it does not ask:
whether one client sees at once what another stored, whether parts of objects are what was asked
for, and how far the clocks are apart.
"""

from collections.abc import Iterator
from contextlib import suppress

from infra.doctor.finding import Finding, trouble
from shared.storage.committer import CLOCK_JUMP_MS_MAX
from shared.storage.objects import ObjectStore, StoreError, Uncertain
from shared.storage.probe import CLOCK_SKEW_MS_MAX, UnsafeStore, checks

RACERS, RACES = 8, 5
OBJECTS = 20
"""Stored by one client and looked for by another."""

_MEANING = {
    "versioning": "The state's bucket was never versioned.",
    "absence": "A key that is missing is said to be missing.",
    "creating": "A second create of a key is refused, and replaces nothing.",
    "racing": f"Of {RACERS} creates at once of each of {RACES} keys, one was stored.",
    "listing": "A listing shows what was created, in order.",
    "clock": "The clocks of this machine and of the store agree.",
}


def behaviour(
    store: ObjectStore, other: ObjectStore, place: str, made: list[str]
) -> Iterator[Finding]:
    """All of it, below `place`; `other` is another client of the same bucket. What is created is
    noted in `made`.
    """
    for name, check in checks(store, f"{place}first/", made, RACERS, RACES):
        try:
            check()
        except UnsafeStore as error:
            yield Finding("wrong", name, str(error), "Do not run the platform on it as it is.")
        except StoreError as error:
            yield trouble(name, error)
        else:
            yield Finding("well", name, _MEANING[name])
    for name, look in (("consistency", _consistency), ("ranges", _ranges)):
        try:
            yield look(store, other, f"{place}second/{name}/", made)
        except StoreError as error:
            yield trouble(name, error)
    yield from _offset(store)


def _consistency(store: ObjectStore, other: ObjectStore, place: str, made: list[str]) -> Finding:
    late: list[str] = []
    for number in range(OBJECTS):
        key = f"{place}{number:03}"
        made.append(key)
        store.create(key, key.encode())
        if not _is_seen(other, place, key):
            late.append(key)
    if late:
        return Finding(
            "wrong",
            "consistency",
            f"{len(late)} of {OBJECTS} objects were stored, and another client did not see them at"
            " once. Containers would write behind entries that they cannot see.",
            "Use a store, or a setting of it, that reads what was written: no cache, no replica"
            " that lags behind, between it and the platform.",
        )
    said = f"Another client saw each of {OBJECTS} objects as soon as it was stored."
    return Finding("well", "consistency", said)


def _is_seen(other: ObjectStore, place: str, key: str) -> bool:
    with suppress(StoreError):
        if other.get(key) != key.encode():
            return False
        return [row.key for row in other.list(place)][-1:] == [key]
    return False


def _ranges(store: ObjectStore, other: ObjectStore, place: str, made: list[str]) -> Finding:
    body, key = bytes(range(256)) * 16, f"{place}whole"
    made.append(key)
    store.create(key, body)
    parts = [(0, 1), (1000, 300), (len(body) - 1, 1)]
    wrong = [each for each in parts if other.get_range(key, *each) != body[each[0] :][: each[1]]]
    beyond = False
    with suppress(Uncertain):
        other.get_range(key, len(body) - 1, 2)
        beyond = True
    if wrong or beyond:
        return Finding(
            "wrong",
            "ranges",
            "A part of an object is not what was asked for: what is archived could not be read.",
            "Use a store that knows the Range header.",
        )
    return Finding("well", "ranges", "Parts of objects are what was asked for.")


def _offset(store: ObjectStore) -> Iterator[Finding]:
    skew_ms = store.clock_skew_ms()
    if skew_ms is None or abs(skew_ms) > CLOCK_SKEW_MS_MAX:
        return  # said already
    said = f"The store's clock is {skew_ms / 1000:+.1f} s from this machine's."
    if abs(skew_ms) > CLOCK_JUMP_MS_MAX:
        said += f" Beyond {CLOCK_SKEW_MS_MAX // 1000} s nothing would be written."
        yield Finding("note", "offset", said, "Set both clocks by NTP before it grows.")
    else:
        yield Finding("well", "offset", said)
