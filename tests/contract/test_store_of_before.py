"""An installation that had one credential and one bucket for all, on the store beside it: what
docs/compose.md says of it, step by step.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from infra import provision
from infra.stores import user_of
from shared.clock import SystemClock
from shared.settings import StoreSettings, load_store
from shared.storage.location import Protection, store_address
from shared.storage.objects import Denied, StoreError
from shared.storage.s3 import S3Store
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer
from tests.support.waiting import wait_until

CLOCK = SystemClock()
ENTRY, KEY = "commerce/journal/00000000000000000001.json", "identity/keys/account_1"
USERS = {user_of(program): f"secret-of-{program}" for program in ("identity", "commerce", "health")}
RIGHTS = ("--store", "seaweedfs", "--policies")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeaweedServer]:
    """The store, as its operator finds it."""
    server = SeaweedServer(tmp_path / "store")
    told = {
        "GANSU_ENV": "development",
        "GANSU_STORE_ENDPOINT": server.endpoint,
        "GANSU_STORE_BUCKET": "gansu-state",
        "GANSU_STORE_ACCESS_KEY": ACCESS_KEY,
        "GANSU_STORE_SECRET_KEY": SECRET_KEY,
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    server.start()
    yield server
    server.stop()


def settings_of(program: str) -> StoreSettings:
    user = user_of(program)
    own = {"GANSU_STORE_ACCESS_KEY": user, "GANSU_STORE_SECRET_KEY": USERS[user]}
    return load_store(own)


def opened(settings: StoreSettings, protection: Protection = "state") -> "closing[S3Store]":
    return closing(S3Store(store_address(settings, protection), CLOCK))


def told_of_users(server: SeaweedServer) -> None:
    """The release after: the same store, with the users that `init` added."""
    server.kill()
    server.seaweed = replace(server.seaweed, users=USERS)
    server.start()


def is_readable(settings: StoreSettings, key: str) -> bool:
    try:
        with opened(settings) as store:
            return store.get(key) == b"of before"
    except StoreError:
        return False


def test_it_comes_up_with_what_it_had_and_tells_its_programs_apart(
    server: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert provision.main([]) == provision.DONE
    with opened(load_store({})) as store:
        for key in (ENTRY, KEY):
            store.create(key, b"of before")
    told_of_users(server)
    # A program of before still works, until its container is replaced.
    wait_until(lambda: is_readable(load_store({}), ENTRY), "the volumes")
    with opened(settings_of("commerce")) as store, pytest.raises(Denied):
        store.get(ENTRY)

    monkeypatch.setenv("GANSU_AUDIT_BUCKET", "gansu-audit")
    assert provision.main([*RIGHTS]) == provision.DONE
    assert is_readable(settings_of("commerce"), ENTRY)
    assert is_readable(settings_of("identity"), KEY)
    with opened(settings_of("health")) as store:
        for key in (ENTRY, KEY):
            with pytest.raises(Denied):
                store.get(key)
    with opened(settings_of("commerce")) as store, pytest.raises(Denied):
        store.delete(ENTRY)
    assert provision.main([*RIGHTS, "--plan"]) == provision.DONE


def test_its_keys_get_a_bucket_of_their_own_when_somebody_says_so(
    server: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_of_users(server)
    assert provision.main([*RIGHTS]) == provision.DONE
    with opened(load_store({})) as store:
        store.create(KEY, b"of before")
    monkeypatch.setenv("GANSU_KEYS_BUCKET", "gansu-keys")
    monkeypatch.setenv("GANSU_MEDIA_BUCKET", "gansu-media")
    assert provision.main([*RIGHTS]) == provision.REFUSED
    assert provision.main([*RIGHTS, "--move"]) == provision.DONE
    with opened(settings_of("identity"), "keys") as store:
        assert store.get(KEY) == b"of before"
    with opened(settings_of("commerce"), "keys") as store, pytest.raises(Denied):
        store.get(KEY)
