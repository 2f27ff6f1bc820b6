"""Public answers come compressed to whoever takes that; everybody else's come as they are."""

import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_accept_header
from werkzeug.test import TestResponse

from shared.web.responses import PACKED_BYTES_MIN, takes_packed
from tests.support.served import json_of, made
from tests.support.shop import Shop, order_of

LIST = "/v1/products"
LARGE = (LIST, "/openapi.json", "/docs", "/docs/page.js", "/docs/page.css")
BOTH = {"Accept-Language", "Accept-Encoding"}

WANTED = ("gzip", "GZip", "br, gzip", "deflate,gzip;q=0.5", "gzip; q=1.0", "gzip ;q=0.001", "gzip,")
UNWANTED = ("", "br", "identity", "gzip;q=0", "gzip; q=0.0", "gzip;q=0.000", "xgzip", "gzip-1", "*")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(tmp_path_factory.mktemp("packed")) as shop:
        for _ in range(8):
            shop.lily()
        shop.clock.pass_monotonic(2)
        yield shop


def asked(shop: Shop, path: str, coding: str = "gzip", **more: str) -> TestResponse:
    return shop.get(path, headers={"Accept-Encoding": coding, **more})


def unpacked(body: bytes) -> bytes:
    opener = zlib.decompressobj(16 + zlib.MAX_WBITS)
    content = opener.decompress(body)
    assert opener.eof
    assert not opener.unused_data
    return content


def varies_on(answer: TestResponse) -> set[str]:
    return {name.strip() for name in answer.headers["Vary"].split(",")}


@pytest.mark.parametrize("path", LARGE)
def test_a_public_answer_is_the_same_once_unpacked(shop: Shop, path: str) -> None:
    plain, packed = shop.get(path), asked(shop, path)
    assert (plain.status_code, packed.status_code) == (200, 200)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert unpacked(packed.data) == plain.data
    assert int(packed.headers["Content-Length"]) == len(packed.data) < 0.6 * len(plain.data)
    assert packed.content_type == plain.content_type
    assert varies_on(plain) == varies_on(packed) == BOTH


@pytest.mark.parametrize("path", LARGE)
def test_neither_form_has_the_others_strong_etag_and_either_is_known(shop: Shop, path: str) -> None:
    plain, packed = (asked(shop, path, coding).headers["ETag"] for coding in ("", "gzip"))
    assert packed == f"W/{plain}"
    for tag in (plain, packed):
        for coding in ("", "gzip"):
            unchanged = asked(shop, path, coding, **{"If-None-Match": tag})
            assert (unchanged.status_code, unchanged.data) == (304, b"")
            assert "Content-Encoding" not in unchanged.headers
            assert varies_on(unchanged) == BOTH


def test_a_merchant_changes_what_was_read_compressed(shop: Shop) -> None:
    path = f"{LIST}/{shop.lily()}"
    tag = {"If-Match": asked(shop, path).headers["ETag"]}
    change = {"for_sale": False}
    assert shop.ask("PATCH", path, change, by="merchant-1", headers=tag).status_code == 200
    assert shop.ask("PATCH", path, change, by="merchant-1", headers=tag).status_code == 412


def test_what_is_small_stays_as_it_is(shop: Shop) -> None:
    answer = asked(shop, "/v1/products?q=nothing-is-called-so")
    assert json_of(answer)["items"] == []
    assert len(answer.data) < PACKED_BYTES_MIN
    assert "Content-Encoding" not in answer.headers
    assert not answer.headers["ETag"].startswith("W/")


def test_what_is_ones_own_is_left_to_the_gateway(shop: Shop) -> None:
    for _ in range(3):
        made(shop.post("/v1/orders", order_of(shop.lily()), by="citizen-1"))
    answer = shop.get("/v1/orders", by="citizen-1", headers={"Accept-Encoding": "gzip"})
    assert len(answer.data) > PACKED_BYTES_MIN
    assert "Content-Encoding" not in answer.headers
    assert varies_on(answer) == {"Accept-Language"}


@pytest.mark.parametrize("coding", WANTED)
def test_who_wants_it_gets_it_so(shop: Shop, coding: str) -> None:
    assert asked(shop, LIST, coding).headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("coding", UNWANTED)
def test_who_does_not_want_it_gets_it_plain(shop: Shop, coding: str) -> None:
    assert "Content-Encoding" not in asked(shop, LIST, coding).headers


CODINGS = st.lists(
    st.tuples(
        st.sampled_from(["gzip", "br", "deflate", "identity"]),
        st.sampled_from(["", ";q=1", ";q=0", ";q=0.5", "; q=0.000", ";q=0.001", " ; q=1.000"]),
    ),
    unique_by=lambda each: each[0],
)


@given(CODINGS)
def test_every_list_of_codings_is_read_as_werkzeug_reads_it(codings: list[tuple[str, str]]) -> None:
    text = ", ".join(f"{name}{quality}" for name, quality in codings)
    wanted = dict(parse_accept_header(text))  # what is refused has a quality of 0
    assert takes_packed({"HTTP_ACCEPT_ENCODING": text}) == (wanted.get("gzip", 0) > 0)
