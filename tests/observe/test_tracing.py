"""Spans: who gets any, and where they go along."""

import threading
from pathlib import Path

import pytest
from gevent.hub import get_hub

from shared import tracing, waiting
from shared.errors import BUSY, Refused
from shared.tracing import Span, Tracer
from shared.web.greenlets import GreenletWays
from tests.support.clock import FakeClock
from tests.support.shop import Shop

ID, OTHER = "a" * 32, "b" * 32


def tracer() -> tuple[Tracer, list[Span]]:
    ended: list[Span] = []
    return Tracer(FakeClock(), ended.append), ended


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        f"00-{ID}-{'1' * 16}-00",
        f"00-{OTHER}-{'1' * 16}-01",
        f"01-{ID}-{'1' * 16}-01",
        f"00-{ID}-{'1' * 15}-01",
        f"00-{ID.upper()}-{'1' * 16}-01",
        f"00-{ID}-{'1' * 16}-01-more",
    ],
)
def test_only_the_gateways_choice_makes_a_span(given: str | None) -> None:
    made, _ = tracer()
    assert made.continued(given, ID, "name", 0.0) is None


def test_a_chosen_request_goes_on_with_the_gateways_span() -> None:
    made, ended = tracer()
    span = made.continued(f"00-{ID}-{'1' * 16}-01", ID, "name", 1.0)
    assert span is not None
    child = span.child("inner")
    child.end()
    span.end(2.0)
    assert ended == [child, span]
    assert (span.trace_id, span.parent_id, span.began, span.ended) == (ID, "1" * 16, 1.0, 2.0)
    assert (child.trace_id, child.parent_id) == (ID, span.span_id)
    assert span.span_id != child.span_id


def test_a_request_is_known_while_it_is_served_and_not_beyond() -> None:
    assert tracing.request_id() == ""
    with tracing.within(ID):
        assert (tracing.request_id(), tracing.span()) == (ID, None)
        with tracing.within(OTHER):
            assert tracing.request_id() == OTHER
        assert tracing.request_id() == ID
    assert tracing.request_id() == ""


def test_work_has_a_span_only_where_the_request_is_looked_at() -> None:
    made, ended = tracer()
    with tracing.within(ID):
        assert tracing.traced("work", lambda: 7) == 7
    assert ended == []
    span = made.continued(f"00-{ID}-{'1' * 16}-01", ID, "name", 0.0)
    assert span is not None

    def refused() -> None:
        assert tracing.span() is not span
        raise Refused(BUSY)

    with tracing.within(span), pytest.raises(Refused):
        tracing.traced("work", refused)
    [work] = ended
    assert (work.name, work.parent_id, work.failed) == ("work", span.span_id, True)


def test_work_that_is_done_apart_knows_its_request() -> None:
    ways = GreenletWays(get_hub())
    waiting.wait_by(ways)
    try:
        with tracing.within(ID):
            here = threading.get_ident()
            for way in (waiting.apart, waiting.alone):
                known, where = way(lambda: (tracing.request_id(), threading.get_ident()))
                assert (known, where != here) == (ID, True)
        assert waiting.apart(tracing.request_id) == ""
    finally:
        waiting._here.ways = None


def test_links_are_bounded() -> None:
    made, _ = tracer()
    one = Span(made, "one", "internal", ID, "", 0.0)
    for _ in range(tracing.LINKS_MAX + 10):
        one.link(one)
    assert len(one.links) == tracing.LINKS_MAX


def test_a_span_has_the_routes_template_and_no_address(tmp_path: Path) -> None:
    ended: list[Span] = []
    with Shop(tmp_path) as shop:
        product = shop.lily()
        order = shop.order(product)
        object.__setattr__(shop.edge, "tracer", Tracer(shop.clock, ended.append))
        headers = {"X-Request-Id": ID, "traceparent": f"00-{ID}-{'1' * 16}-01"}
        shop.get(f"/v1/orders/{order['id']}?x=secret", by="citizen-1", headers=headers)
        shop.get(f"/v1/orders/{order['id']}", by="citizen-1", headers=headers)
        shop.get("/v1/secret/secret/secret", by="citizen-1", headers=headers)
        shop.get(f"/v1/orders/{order['id']}", by="citizen-1")
    told = repr([(span.name, span.attributes) for span in ended])
    names = [span.name for span in ended if span.kind == "server"]
    assert names == [*["GET /commerce/v1/orders/{order_id}"] * 2, "GET"]
    assert "secret" not in told
    assert order["id"] not in told
    assert {"read", "prove"} <= {span.name for span in ended}
