"""Public answers are kept for as long as the service says; personal ones never."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.web.responses import packed, takes_packed
from tests.support.gateway import before
from tests.support.upstream import Arrived, Reply, Upstream
from tests.support.waiting import wait_until

CATALOGUE = "/commerce/v1/products"
PUBLIC = {"Cache-Control": "public, max-age=60", "Vary": "Accept-Language"}
MAX_AGE_SECONDS = 2.1  # nginx counts whole seconds: one has certainly passed after two
BRIEF = {"Cache-Control": "public, max-age=1, stale-while-revalidate=2"}


def numbered(headers: dict[str, str]) -> Upstream:
    """A service whose answers say how many requests it has had."""
    upstream = Upstream()
    upstream.script = lambda _: Reply(headers=headers, body=str(len(upstream.arrived)).encode())
    return upstream


def test_a_public_answer_is_kept_once_for_each_language(tmp_path: Path) -> None:
    def script(arrived: Arrived) -> Reply:
        return Reply(headers=PUBLIC, body=arrived.headers["accept-language"].encode())

    with Upstream(script) as upstream, before(tmp_path, upstream) as gateway:
        for asked in ("zh-CN,zh;q=0.9", "en-US,en;q=0.9", "zh", "en-GB", "fr", "en;q=0.2"):
            language = b"en" if asked.startswith("en") else b"zh"
            assert gateway.get(CATALOGUE, accept_language=asked).body == language
    assert sorted(arrived.headers["accept-language"] for arrived in upstream.arrived) == [
        "en",
        "zh",
    ]


CODINGS = {
    "gzip": "gzip",
    "gzip, deflate, br, zstd": "gzip",
    "br;q=1.0, gzip;q=0.8, *;q=0.1": "gzip",
    "GZIP": "gzip",
    "gzip;q=0": "",
    "gzip; q=0.000": "",
    "xgzip": "",
    "deflate, br": "",
    "*": "",
    "": "",
}


def test_a_public_answer_is_kept_packed_and_plain_and_packed_by_the_service(
    tmp_path: Path,
) -> None:
    plain = b'{"name":"' + b"lily " * 400 + b'"}'
    headers = {"Content-Type": "application/json", **PUBLIC}

    def script(arrived: Arrived) -> Reply:
        if arrived.headers.get("accept-encoding") != "gzip":
            return Reply(headers=headers, body=plain)
        packing = {"Content-Encoding": "gzip", "ETag": 'W/"7"'}
        return Reply(headers=headers | packing, body=packed(plain))

    with Upstream(script) as upstream, before(tmp_path, upstream) as gateway:
        for asked, coding in CODINGS.items():
            answer = gateway.get(CATALOGUE, accept_encoding=asked)
            assert answer.headers.get("content-encoding", "") == coding, asked
            assert answer.body == (packed(plain) if coding else plain)
            assert takes_packed({"HTTP_ACCEPT_ENCODING": asked}) == bool(coding)
        known = gateway.get(CATALOGUE, accept_encoding="gzip", if_none_match='W/"7"')
        assert (known.status, known.body) == (304, b"")
    assert sorted(each.headers.get("accept-encoding", "") for each in upstream.arrived) == [
        "",
        "gzip",
    ]


def test_a_picture_is_kept_once_whoever_asks(tmp_path: Path) -> None:
    headers = {**PUBLIC, "Content-Type": "image/webp"}
    address = f"{CATALOGUE}/product_1/pictures/picture_1/160"
    with numbered(headers) as upstream, before(tmp_path, upstream) as gateway:
        for coding in ("gzip", "", "gzip, br"):
            assert gateway.get(address, accept_encoding=coding).body == b"1"
        assert gateway.get(f"{CATALOGUE}?q=/pictures/").body == b"2"
        assert gateway.get(f"{CATALOGUE}?q=/pictures/", accept_encoding="gzip").body == b"3"
    assert [each.headers.get("accept-encoding", "") for each in upstream.arrived] == [
        "",
        "",
        "gzip",
    ]


def test_what_the_cache_will_not_hold_is_packed_by_the_gateway(tmp_path: Path) -> None:
    with numbered(PUBLIC) as upstream, before(tmp_path, upstream) as gateway:
        for personal in ({"authorization": "x"}, {"commit_seq": "7"}):
            gateway.get(CATALOGUE, accept_encoding="gzip", **personal)
    assert ["accept-encoding" in each.headers for each in upstream.arrived] == [False, False]


def test_other_queries_are_other_answers(tmp_path: Path) -> None:
    with numbered(PUBLIC) as upstream, before(tmp_path, upstream) as gateway:
        bodies = [gateway.get(f"{CATALOGUE}?q={word}").body for word in "abab"]
    assert bodies == [b"1", b"2", b"1", b"2"]


def test_head_is_answered_from_what_get_left(tmp_path: Path) -> None:
    with numbered(PUBLIC) as upstream, before(tmp_path, upstream) as gateway:
        gateway.get(CATALOGUE)
        head = gateway.request("HEAD", CATALOGUE)
    assert (head.status, head.body, len(upstream.arrived)) == (200, b"", 1)


@pytest.mark.parametrize("credential", ["Bearer a.b.c", "0", "Basic eDp5", "x"])
def test_an_answer_to_a_credential_is_neither_kept_nor_served_from_the_cache(
    tmp_path: Path, credential: str
) -> None:
    with numbered(PUBLIC) as upstream, before(tmp_path, upstream) as gateway:
        assert gateway.get(CATALOGUE, authorization=credential).body == b"1"
        assert gateway.get(CATALOGUE).body == b"2"
        assert gateway.get(CATALOGUE, authorization=credential).body == b"3"
        assert gateway.get(CATALOGUE).body == b"2"


def test_a_client_that_says_what_it_must_see_is_sent_to_the_service(tmp_path: Path) -> None:
    with numbered(PUBLIC) as upstream, before(tmp_path, upstream) as gateway:
        assert gateway.get(CATALOGUE).body == b"1"
        assert gateway.get(CATALOGUE, commit_seq="7").body == b"2"


@pytest.mark.parametrize("rule", ["no-store", "private, max-age=60", "no-cache", ""])
def test_what_is_not_public_is_not_kept(tmp_path: Path, rule: str) -> None:
    with (
        numbered({"Cache-Control": rule} if rule else {}) as upstream,
        before(tmp_path, upstream) as gateway,
    ):
        assert [gateway.get(CATALOGUE).body for _ in range(2)] == [b"1", b"2"]


def test_what_says_how_old_it_is_reaches_the_client_with_its_age(tmp_path: Path) -> None:
    """A service whose store is away, behind a cache that has an answer of before (0130)."""
    known = Reply(headers={"Cache-Control": "public, max-age=1", "ETag": '"x"'}, body=b"known")
    aged = Reply(headers={"Cache-Control": "no-cache", "Age": "40", "ETag": '"x"'}, body=b"known")
    with Upstream(lambda _: known) as upstream, before(tmp_path, upstream) as gateway:
        assert "age" not in gateway.get(CATALOGUE).headers
        upstream.script = lambda _: aged
        time.sleep(MAX_AGE_SECONDS)
        for _ in range(2):
            answer = gateway.get(CATALOGUE)
            assert (answer.status, answer.headers["age"]) == (200, "40")


def test_a_cookie_is_neither_kept_nor_a_way_past_the_cache(tmp_path: Path) -> None:
    with numbered(PUBLIC) as upstream, before(tmp_path, upstream) as gateway:
        bodies = [gateway.get(CATALOGUE, cookie=f"a={number}").body for number in range(2)]
    assert bodies == [b"1", b"1"]


def test_a_post_is_neither_kept_nor_answered_from_the_cache(tmp_path: Path) -> None:
    with numbered(PUBLIC) as upstream, before(tmp_path, upstream) as gateway:
        bodies = [gateway.request("POST", CATALOGUE, body=b"{}").body for _ in range(2)]
        assert gateway.get(CATALOGUE).body == b"3"
    assert bodies == [b"1", b"2"]


def test_a_stale_answer_is_served_while_one_request_fetches_the_next(tmp_path: Path) -> None:
    """Nobody waits for the slow service, and it is asked once."""
    with numbered(BRIEF) as upstream, before(tmp_path, upstream) as gateway:
        assert gateway.get(CATALOGUE).body == b"1"
        released, quick = threading.Event(), upstream.script
        upstream.script = lambda arrived: quick(arrived) if released.wait(10) else Reply(500)
        time.sleep(MAX_AGE_SECONDS)
        with ThreadPoolExecutor(10) as clients:
            answers = list(clients.map(lambda _: gateway.get(CATALOGUE).body, range(30)))
        assert answers == [b"1"] * 30
        wait_until(lambda: len(upstream.arrived) > 1, "the request that fetches the next")
        assert len(upstream.arrived) == 2
        released.set()
        wait_until(lambda: gateway.get(CATALOGUE).body == b"2", "the fresh answer")


def test_staleness_ends_where_the_service_said(tmp_path: Path) -> None:
    with numbered(BRIEF) as upstream, before(tmp_path, upstream) as gateway:
        assert gateway.get(CATALOGUE).body == b"1"
        time.sleep(MAX_AGE_SECONDS + 2)  # and stale-while-revalidate
        assert gateway.get(CATALOGUE).body == b"2"


def test_a_dead_service_is_not_papered_over_for_longer_than_it_allowed(tmp_path: Path) -> None:
    headers = {"Cache-Control": "public, max-age=1, stale-if-error=2"}
    with numbered(headers) as upstream, before(tmp_path, upstream) as gateway:
        assert gateway.get(CATALOGUE).body == b"1"
        upstream.script = lambda _: Reply(drop=True)
        time.sleep(MAX_AGE_SECONDS)
        assert gateway.get(CATALOGUE).body == b"1"
        time.sleep(2)  # stale-if-error passes
        assert gateway.get(CATALOGUE).status == 502


def test_concurrent_misses_ask_the_service_once(tmp_path: Path) -> None:
    arrived = threading.Event()

    def script(_: Arrived) -> Reply:
        arrived.wait(10)
        return Reply(headers=PUBLIC, body=b"lily")

    with Upstream(script) as upstream, before(tmp_path, upstream) as gateway:
        with ThreadPoolExecutor(20) as clients:
            answers = [clients.submit(gateway.get, CATALOGUE) for _ in range(20)]
            wait_until(lambda: len(upstream.arrived) == 1, "the first miss")
            arrived.set()
        assert {answer.result().body for answer in answers} == {b"lily"}
        assert len(upstream.arrived) == 1


def test_a_known_etag_is_confirmed_without_the_service(tmp_path: Path) -> None:
    headers = {**PUBLIC, "ETag": '"7"'}
    with numbered(headers) as upstream, before(tmp_path, upstream) as gateway:
        gateway.get(CATALOGUE)
        assert gateway.get(CATALOGUE, if_none_match='"7"').status == 304
    assert len(upstream.arrived) == 1


def test_an_old_answer_is_confirmed_by_its_etag_and_not_fetched_again(tmp_path: Path) -> None:
    headers = {"Cache-Control": "public, max-age=1", "ETag": '"7"'}
    with numbered(headers) as upstream, before(tmp_path, upstream) as gateway:
        assert gateway.get(CATALOGUE).body == b"1"
        upstream.script = lambda _: Reply(304, headers)
        time.sleep(MAX_AGE_SECONDS)
        assert gateway.get(CATALOGUE).body == b"1"
    assert upstream.arrived[1].headers["if-none-match"] == '"7"'


def test_the_condition_of_a_personal_read_is_left_to_the_service(tmp_path: Path) -> None:
    with Upstream(lambda _: Reply(304)) as upstream, before(tmp_path, upstream) as gateway:
        answer = gateway.get(CATALOGUE, if_none_match='"7"', authorization="Bearer a.b.c")
    assert answer.status == 304
    assert upstream.arrived[0].headers["if-none-match"] == '"7"'


def test_health_is_asked_for_the_moment(tmp_path: Path) -> None:
    with numbered(PUBLIC) as upstream, before(tmp_path, upstream) as gateway:
        bodies = [gateway.get("/commerce/health/ready").body for _ in range(2)]
    assert bodies == [b"1", b"2"]
