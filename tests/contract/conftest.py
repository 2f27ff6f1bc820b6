"""The object stores that must all keep one contract."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.clock import SystemClock
from shared.storage.memory import MemoryStore
from shared.storage.objects import ObjectStore
from shared.storage.s3 import S3Address, S3Store
from shared.storage.s3_admin import S3Admin
from tests.support.seaweed import new_bucket


@contextmanager
def opened(address: S3Address) -> Iterator[S3Store]:
    store = S3Store(address, SystemClock())
    try:
        yield store
    finally:
        store.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--store") or ["memory", "moto", "seaweed"]
        metafunc.parametrize("store", chosen, indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    """An empty bucket of each kind of store."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param in ("seaweed", "ceph"):
        address = new_bucket(request.getfixturevalue(request.param))
    else:
        endpoint = request.getfixturevalue("moto").endpoint
        bucket = f"test-{uuid.uuid4().hex[:12]}"
        address = S3Address(bucket, endpoint, access_key="any", secret_key="any")
        S3Admin(address).ensure_bucket()
    with opened(address) as s3:
        yield s3
