"""The issuer's keys: fetched when they are due, kept when the issuer is away."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc.jwk import ECKey, RSAKey

from shared.auth.keys import (
    DOCUMENT_BYTES_MAX,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    KeysUnavailable,
    SigningKeys,
    source_of,
)
from tests.support.clock import FakeClock
from tests.support.tokens import Issuer, jwks, new_key


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> Issuer:
    return Issuer(clock)


def keys_of(issuer: Issuer) -> SigningKeys:
    return SigningKeys(issuer.source, issuer.clock)


def test_keys_are_fetched_once_and_used_again(issuer: Issuer) -> None:
    keys = keys_of(issuer)
    for _ in range(5):
        assert keys.key("first") is not None
        keys.refresh_if_due()
    assert issuer.fetches == 1


def test_an_unknown_id_fetches_again_but_not_again_and_again(
    issuer: Issuer, clock: FakeClock
) -> None:
    keys = keys_of(issuer)
    keys.key("first")
    issuer.published = jwks(issuer.key, new_key("second"))
    assert keys.key("second") is None, "the last fetch was just now"
    clock.pass_monotonic(RETRY_SECONDS + 1)
    assert keys.key("second") is not None
    for number in range(50):
        assert keys.key(f"made up {number}") is None
    assert issuer.fetches == 2


def test_a_withdrawn_key_stops_working_when_the_set_is_due(
    issuer: Issuer, clock: FakeClock
) -> None:
    keys = keys_of(issuer)
    keys.key("first")
    before = keys.generation
    issuer.published = jwks(new_key("second"))
    keys.refresh_if_due()
    assert keys.key("first") is not None
    clock.pass_monotonic(REFRESH_SECONDS + 1)
    keys.refresh_if_due()
    assert keys.key("first") is None
    assert keys.key("second") is not None
    assert keys.generation > before


def test_the_same_keys_again_are_no_new_generation(issuer: Issuer, clock: FakeClock) -> None:
    keys = keys_of(issuer)
    keys.key("first")
    before = keys.generation
    clock.pass_monotonic(REFRESH_SECONDS + 1)
    keys.refresh_if_due()
    assert issuer.fetches == 2
    assert keys.generation == before


def test_another_key_under_the_same_id_is_a_new_generation(
    issuer: Issuer, clock: FakeClock
) -> None:
    keys = keys_of(issuer)
    keys.key("first")
    before = keys.generation
    issuer.published = jwks(new_key("first"))
    clock.pass_monotonic(REFRESH_SECONDS + 1)
    keys.refresh_if_due()
    assert keys.generation > before


def test_an_outage_of_the_issuer_signs_nobody_out(issuer: Issuer, clock: FakeClock) -> None:
    keys = keys_of(issuer)
    keys.key("first")
    issuer.down = True
    for _ in range(10):
        clock.pass_monotonic(REFRESH_SECONDS + 1)
        keys.refresh_if_due()
        assert keys.key("first") is not None
        assert keys.available()


def test_keys_that_could_not_be_read_for_long_are_told_of(issuer: Issuer, clock: FakeClock) -> None:
    keys = keys_of(issuer)
    assert [found.state for found in keys.findings()] == ["degraded"]
    keys.look()
    assert [found.state for found in keys.findings()] == ["ok"]
    issuer.down = True
    clock.pass_monotonic(STALE_SECONDS + 1)
    assert [found.state for found in keys.findings()] == ["ok"], "nobody has tried since"
    keys.look()
    assert [found.state for found in keys.findings()] == ["degraded"]
    issuer.down = False
    clock.pass_monotonic(RETRY_SECONDS + 1)
    keys.look()
    assert [found.state for found in keys.findings()] == ["ok"]


def test_a_dead_issuer_is_asked_once_in_a_while(issuer: Issuer, clock: FakeClock) -> None:
    issuer.down = True
    keys = keys_of(issuer)
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            keys.key("first")
    assert issuer.fetches == 1
    assert not keys.available()
    clock.pass_monotonic(RETRY_SECONDS + 1)
    issuer.down = False
    assert keys.available()
    assert keys.key("first") is not None


def test_an_issuer_that_starts_a_moment_later_is_known_a_moment_later(
    issuer: Issuer, clock: FakeClock
) -> None:
    """A service looks as it starts; the first who sign in must not pay for it."""
    issuer.down = True
    keys = keys_of(issuer)
    keys.look()
    issuer.down = False
    clock.pass_monotonic(1)
    assert keys.key("first") is not None


def test_who_finds_another_fetching_goes_on_with_the_old_keys(
    issuer: Issuer, clock: FakeClock
) -> None:
    fetching, go_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        if issuer.fetches:
            fetching.set()
            assert go_on.wait(10)
        return issuer.source()

    keys = SigningKeys(slow, clock)
    keys.key("first")
    clock.pass_monotonic(REFRESH_SECONDS + 1)
    other = threading.Thread(target=keys.refresh_if_due)
    other.start()
    assert fetching.wait(10)
    keys.refresh_if_due()
    assert keys.key("first") is not None
    go_on.set()
    other.join()
    assert issuer.fetches == 2


PUBLIC = new_key("first").as_dict(private=False)

BAD_DOCUMENTS: dict[str, bytes] = {
    "nothing": b"",
    "no json": b"<html>",
    "no object": b"[]",
    "no keys": b"{}",
    "keys an object": b'{"keys": {}}',
    "empty": b'{"keys": []}',
    "not a key": b'{"keys": [1, null, "x"]}',
    "a point off the curve": orjson.dumps({"keys": [{**PUBLIC, "x": PUBLIC["y"]}]}),
    "half a key": orjson.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "first"}]}),
    "no id": orjson.dumps({"keys": [{k: v for k, v in PUBLIC.items() if k != "kid"}]}),
    "for encryption": orjson.dumps({"keys": [{**PUBLIC, "use": "enc"}]}),
    "another algorithm": orjson.dumps({"keys": [{**PUBLIC, "alg": "ES384"}]}),
    "another curve": orjson.dumps(
        {"keys": [ECKey.generate_key("P-384", {"kid": "first"}).as_dict(private=False)]}
    ),
    "RSA": orjson.dumps(
        {"keys": [RSAKey.generate_key(2048, {"kid": "first"}).as_dict(private=False)]}
    ),
    "a secret": b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}]}',
    "too large": jwks(new_key("first")) + b" " * DOCUMENT_BYTES_MAX,
}


@pytest.mark.parametrize("document", BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS.keys())
def test_a_set_without_a_usable_key_is_no_set(
    issuer: Issuer, clock: FakeClock, document: bytes
) -> None:
    issuer.published = document
    with pytest.raises(KeysUnavailable):
        keys_of(issuer).key("first")
    issuer.published = jwks(issuer.key)
    keys = keys_of(issuer)
    assert keys.key("first") is not None
    issuer.published = document
    clock.pass_monotonic(REFRESH_SECONDS + 1)
    keys.refresh_if_due()
    assert keys.key("first") is not None, "the last good set goes on"


def test_keys_that_cannot_sign_access_tokens_are_passed_over(issuer: Issuer) -> None:
    others = orjson.loads(BAD_DOCUMENTS["RSA"])["keys"]
    members = orjson.loads(jwks(issuer.key))
    issuer.published = orjson.dumps({"keys": [*others, *members["keys"]]})
    keys = keys_of(issuer)
    key = keys.key("first")
    assert key is not None
    assert key.key_type == "EC"


def test_a_private_key_in_the_set_is_not_kept(issuer: Issuer) -> None:
    issuer.published = orjson.dumps({"keys": [issuer.key.as_dict(private=True)]})
    key = keys_of(issuer).key("first")
    assert key is not None
    assert not key.is_private


def test_keys_are_read_from_a_file(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "jwks.json"
    keys = SigningKeys(source_of(str(path)), clock)
    assert not keys.available()
    path.write_bytes(jwks(new_key("first")))
    clock.pass_monotonic(RETRY_SECONDS + 1)
    assert keys.key("first") is not None


class _Server(BaseHTTPRequestHandler):
    document = b""

    def do_GET(self) -> None:
        if self.path != "/jwks.json":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_keys_are_read_from_a_url(clock: FakeClock) -> None:
    class Handler(_Server):
        document = jwks(new_key("first"))

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            assert SigningKeys(source_of(f"{url}/jwks.json"), clock).key("first") is not None
            assert not SigningKeys(source_of(f"{url}/none"), clock).available()
            Handler.document = b"x" * (DOCUMENT_BYTES_MAX + 10)
            assert not SigningKeys(source_of(f"{url}/jwks.json"), clock).available()
        finally:
            server.shutdown()
            thread.join()
    assert not SigningKeys(source_of(f"{url}/jwks.json"), clock).available()
