"""Sealing: opens where it was sealed and nowhere else, rolls, and is gone once it is erased."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused
from shared.sealing import KEPT_SECONDS, Unreadable, Vault
from shared.storage.memory import MemoryBucket, MemoryStore
from shared.storage.objects import Uncertain
from tests.support.clock import FakeClock

OLD, NEW = b"o" * 32, b"n" * 32


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(MemoryBucket(self.clock), clock=self.clock)

    def vault(self, **masters: bytes) -> Vault:
        return Vault(self.store, "identity/keys/", masters or {"a": OLD}, self.clock)


@pytest.fixture
def world() -> World:
    return World()


@given(content=st.binary(max_size=300), collection=st.text("ab", min_size=1, max_size=3))
def test_what_was_sealed_opens_in_every_process(content: bytes, collection: str) -> None:
    world = World()
    sealed = world.vault().seal(collection, "account_1", content)
    assert world.vault().unseal(collection, "account_1", sealed) == content


def test_it_opens_for_its_own_place_only(world: World) -> None:
    vault = world.vault()
    sealed = vault.seal("names", "account_1", b"mine")
    vault.seal("names", "account_2", b"another's")
    for collection, key, owner in (
        ("names", "account_2", None),
        ("numbers", "account_1", None),
        ("names", "account_2", "account_1"),
        ("names", "nobody", None),
    ):
        with pytest.raises(Unreadable):
            vault.unseal(collection, key, sealed, owner=owner)


def test_a_changed_text_does_not_open(world: World) -> None:
    vault = world.vault()
    sealed = vault.seal("names", "account_1", b"mine")
    # All but the last character, some of whose bits mean nothing in base64.
    for place in range(len(sealed) - 1):
        changed = "B" if sealed[place] != "B" else "C"
        with pytest.raises(Unreadable):
            vault.unseal("names", "account_1", sealed[:place] + changed + sealed[place + 1 :])


def test_two_seals_of_the_same_are_not_alike_and_hide_it(world: World) -> None:
    vault = world.vault()
    first, second = (vault.seal("names", "account_1", b"Zhang San") for _ in range(2))
    assert first != second
    stored = world.store.get("identity/keys/account_1")
    assert b"Zhang" not in first.encode() + second.encode() + stored


def test_erased_is_unreadable_also_after_a_new_key_was_made(world: World) -> None:
    vault, other = world.vault(), world.vault()
    sealed = vault.seal("names", "account_1", b"mine")
    assert other.unseal("names", "account_1", sealed) == b"mine"
    vault.erase("account_1")
    vault.erase("account_1")
    with pytest.raises(Unreadable):
        vault.unseal("names", "account_1", sealed)
    world.clock.pass_monotonic(KEPT_SECONDS)
    with pytest.raises(Unreadable):
        other.unseal("names", "account_1", sealed)
    again = vault.seal("names", "account_1", b"once more")
    assert vault.unseal("names", "account_1", again) == b"once more"
    with pytest.raises(Unreadable):
        vault.unseal("names", "account_1", sealed)


def test_another_process_seals_nothing_under_an_erased_key(world: World) -> None:
    vault, other = world.vault(), world.vault()
    other.seal("names", "account_1", b"before")
    vault.erase("account_1")
    sealed = other.seal("names", "account_1", b"after")
    assert world.vault().unseal("names", "account_1", sealed) == b"after"


def test_erasing_one_owner_leaves_the_others(world: World) -> None:
    vault = world.vault()
    kept = vault.seal("names", "account_2", b"kept")
    vault.seal("names", "account_1", b"gone")
    vault.erase("account_1")
    assert vault.unseal("names", "account_2", kept) == b"kept"


def test_master_keys_roll(world: World) -> None:
    sealed = world.vault(a=OLD).seal("names", "account_1", b"mine")
    rolled = world.vault(b=NEW, a=OLD)
    assert rolled.unseal("names", "account_1", sealed) == b"mine"
    newer = rolled.seal("names", "account_2", b"newer")
    assert world.store.get("identity/keys/account_2").startswith(b"b.")
    assert world.vault(b=NEW).unseal("names", "account_2", newer) == b"newer"


def test_a_missing_master_key_is_said_and_not_taken_for_erased(world: World) -> None:
    sealed = world.vault(a=OLD).seal("names", "account_1", b"mine")
    with pytest.raises(RuntimeError, match="'a'"):
        world.vault(b=NEW).unseal("names", "account_1", sealed)


def test_a_key_that_was_moved_to_another_owner_does_not_open(world: World) -> None:
    vault = world.vault()
    sealed = vault.seal("names", "account_1", b"mine")
    world.store.create("identity/keys/account_2", world.store.get("identity/keys/account_1"))
    with pytest.raises(Unreadable):
        vault.unseal("names", "account_1", sealed, owner="account_2")


def test_a_store_that_does_not_answer_is_busy_and_loses_nothing(world: World) -> None:
    class Deaf(MemoryStore):
        def get(self, key: str) -> bytes:
            raise Uncertain("no answer")

    deaf = Vault(Deaf(MemoryBucket(world.clock), clock=world.clock), "k/", {"a": OLD}, world.clock)
    with pytest.raises(Refused, match="busy"):
        deaf.seal("names", "account_1", b"mine")
    with pytest.raises(Refused, match="busy"):
        deaf.unseal("names", "account_1", "0" * 16 + "." + "A" * 60)
