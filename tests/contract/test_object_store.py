"""What `shared.storage.objects` promises, asked of every store."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from shared.clock import SystemClock
from shared.storage.objects import Absent, Exists, ObjectInfo, ObjectStore, Uncertain
from shared.storage.probe import probe

KEY = "commerce/journal/00000000000000000001.json"


def keys(rows: list[ObjectInfo]) -> list[str]:
    return [row.key for row in rows]


def test_what_is_created_is_read_back(store: ObjectStore) -> None:
    body = bytes(range(256)) * 40
    store.create(KEY, body)
    assert store.get(KEY) == body


def test_a_range_is_read_back(store: ObjectStore) -> None:
    body = bytes(range(256)) * 400
    store.create(KEY, body)

    assert store.get_range(KEY, 0, 1) == body[:1]
    assert store.get_range(KEY, 1000, 300) == body[1000:1300]
    assert store.get_range(KEY, len(body) - 1, 1) == body[-1:]
    assert store.get_range(KEY, 0, len(body)) == body


@pytest.mark.parametrize(("start", "length"), [(0, 11), (9, 2), (10, 1), (99, 1)])
def test_a_range_that_is_not_there_is_never_a_shorter_one(
    store: ObjectStore, start: int, length: int
) -> None:
    store.create(KEY, b"0123456789")
    with pytest.raises(Uncertain):
        store.get_range(KEY, start, length)


def test_a_range_of_a_missing_key_is_absent(store: ObjectStore) -> None:
    with pytest.raises(Absent):
        store.get_range(KEY, 0, 1)


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.create(KEY, b"")
    assert store.get(KEY) == b""
    assert store.list("") == [ObjectInfo(KEY, 0)]


def test_a_large_object_is_read_back(store: ObjectStore) -> None:
    body = bytes(range(256)) * (20 << 10)
    store.create(KEY, body)
    assert store.get(KEY) == body


def test_a_second_create_is_refused_and_replaces_nothing(store: ObjectStore) -> None:
    store.create(KEY, b"first")
    with pytest.raises(Exists):
        store.create(KEY, b"second")
    with pytest.raises(Exists):
        store.create(KEY, b"first")
    assert store.get(KEY) == b"first"


def test_a_missing_key_is_absent(store: ObjectStore) -> None:
    with pytest.raises(Absent):
        store.get(KEY)
    store.create(KEY + ".longer", b"x")
    with pytest.raises(Absent):
        store.get(KEY)


def test_a_listing_is_ordered_and_bounded(store: ObjectStore) -> None:
    names = [f"a/{number:04}" for number in (3, 1, 2, 10)]
    for name in [*names, "b/1", "A/1"]:
        store.create(name, b"xyz")
    assert store.list("a/") == [ObjectInfo(name, 3) for name in sorted(names)]
    assert keys(store.list("a/", limit=2)) == ["a/0001", "a/0002"]
    assert keys(store.list("a/", after="a/0002")) == ["a/0003", "a/0010"]
    assert keys(store.list("a/", after="a/0002", limit=1)) == ["a/0003"]
    assert keys(store.list("a/", after="a/00015")) == ["a/0002", "a/0003", "a/0010"]
    assert keys(store.list("a/", after="a/0010")) == []
    assert keys(store.list("c/")) == []
    assert keys(store.list("a/000")) == ["a/0001", "a/0002", "a/0003"]


def test_a_listing_continues_beyond_one_page(store: ObjectStore) -> None:
    names = [f"many/{number:05}" for number in range(1030)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.create(name, b""), names))
    assert keys(store.list("many/", limit=5000)) == names
    assert keys(store.list("many/", limit=1010)) == names[:1010]
    assert keys(store.list("many/")) == names[:1000]


def test_odd_keys_survive(store: ObjectStore) -> None:
    odd = ["o/a b", "o/a+b", "o/a%20b", "o/a=b&c", "o/‹百合›", "o/a:b@c", "o/~t", "o/x'y(z)!*"]
    for key in odd:
        store.create(key, key.encode())
    assert [store.get(key) for key in odd] == [key.encode() for key in odd]
    assert keys(store.list("o/")) == sorted(odd, key=str.encode)


def test_a_deleted_object_is_gone_and_deleting_again_is_nothing(store: ObjectStore) -> None:
    store.create(KEY, b"x")
    store.delete(KEY)
    store.delete(KEY)
    assert store.list("") == []
    with pytest.raises(Absent):
        store.get(KEY)


def test_the_store_clock_is_known_after_an_answer(store: ObjectStore) -> None:
    assert store.clock_skew_ms() is None
    store.list("")
    skew_ms = store.clock_skew_ms()
    assert skew_ms is not None
    assert abs(skew_ms) < 2000


def test_a_fresh_bucket_was_never_versioned(store: ObjectStore) -> None:
    assert store.versioning() == "never"


def test_of_racing_creates_one_is_stored(store: ObjectStore) -> None:
    racers = 6
    for number in range(3):
        key = f"race/{number}"
        barrier = Barrier(racers)

        def attempt(racer: int, key: str = key, barrier: Barrier = barrier) -> str:
            barrier.wait()
            try:
                store.create(key, str(racer).encode())
            except Exists:
                return "lost"
            except Uncertain:
                return "unknown"
            return "won"

        with ThreadPoolExecutor(racers) as pool:
            outcomes = list(pool.map(attempt, range(racers)))
        assert outcomes.count("won") <= 1
        assert outcomes[int(store.get(key))] in ("won", "unknown")


def test_the_probe_passes_and_leaves_nothing(store: ObjectStore) -> None:
    probe(store, "commerce/", SystemClock())
    assert store.list("") == []
