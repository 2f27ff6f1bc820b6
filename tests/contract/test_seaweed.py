"""The embedded store as a process: whose it is, and what survives its death."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from infra.seaweed import free_ports
from shared.clock import SystemClock
from shared.storage.objects import Exists, Uncertain
from shared.storage.s3 import S3Store
from tests.support.seaweed import SeaweedServer, new_bucket
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    server = SeaweedServer(tmp_path_factory.mktemp("a store"))
    server.start()
    yield server
    server.stop()


def read_when_it_can(store: S3Store, key: str) -> bytes:
    """The S3 door opens a moment before the volumes have reported to the master. Until then the
    store says 500, which is no answer; it must never say that the object is not there.
    """
    read: list[bytes] = []

    def answers() -> bool:
        with suppress(Uncertain):
            read.append(store.get(key))
        return bool(read)

    wait_until(answers, "the volumes")
    return read[0]


def write_when_it_can(store: S3Store, key: str, body: bytes) -> None:
    """A create that had no answer may have been carried out all the same."""

    def stored() -> bool:
        try:
            store.create(key, body)
        except Uncertain:
            return False
        except Exists:
            return store.get(key) == body
        return True

    wait_until(stored, "the volumes")


def test_what_was_acknowledged_survives_kill_and_restart(server: SeaweedServer) -> None:
    address = new_bucket(server)
    for life in range(3):
        with closing(S3Store(address, SystemClock())) as store:
            for number in range(20):
                write_when_it_can(store, f"journal/{life}-{number}", f"{life} {number}".encode())
        server.kill()
        with closing(S3Store(address, SystemClock())) as store, pytest.raises(Uncertain):
            store.get("journal/0-0")
        server.start()
        with closing(S3Store(address, SystemClock())) as store:
            assert len(store.list("journal/")) == 20 * (life + 1)
            assert read_when_it_can(store, f"journal/{life}-19") == f"{life} 19".encode()
            with pytest.raises(Exists):
                store.create("journal/0-0", b"again")


def test_a_store_of_other_keys_on_the_port_is_not_ours(server: SeaweedServer) -> None:
    assert server.seaweed.is_ready()
    assert not replace(server.seaweed, secret_key="somebody else's").is_ready()


def test_its_parts_never_get_the_port_of_its_door(server: SeaweedServer, tmp_path: Path) -> None:
    kept = dict(zip(server.seaweed._kept_ports(), free_ports(7), strict=True))
    seaweed = replace(server.seaweed, directory=tmp_path, port=kept["filer.port"])
    seaweed._ports_file.write_text(json.dumps(kept))

    ports = seaweed._inner_ports()

    assert ports.keys() == kept.keys()
    assert len({seaweed.port, *ports.values()}) == 8
    # And as long as they are free and apart, they stay.
    apart = replace(seaweed, port=free_ports(1)[0])
    if apart.port not in ports.values():
        assert apart._inner_ports() == ports


def test_a_part_of_the_store_is_not_its_door(server: SeaweedServer) -> None:
    filer = replace(server.seaweed, port=server.seaweed._kept_ports()["filer.port"])
    assert not filer.is_ready()


def test_it_listens_on_one_address_only(server: SeaweedServer) -> None:
    ports = [server.seaweed.port, *server.seaweed._kept_ports().values()]
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            pass
        with pytest.raises(OSError, match=r"refused|unreachable|assign"):
            socket.create_connection(("127.0.0.2", port), timeout=2)


def test_nothing_is_left_outside_its_directory(server: SeaweedServer) -> None:
    """Last: it ends the store."""
    port = server.seaweed.port
    assert list(Path("/tmp").glob(f"seaweedfs-*-{port}.sock"))
    server.stop()
    assert not list(Path("/tmp").glob(f"seaweedfs-*-{port}.sock"))
