"""Applications for gunicorn: the commerce service, with one thing changed in each.

Routes, authentication and schemas are the service's own. What is replaced is the action that
stores, or the one that reads, in this process alone; the service knows nothing of it.

    gunicorn 'bench.sites:peer()'
"""

import os
from collections.abc import Callable, Sequence
from typing import cast

from bench import goods
from bench import peer as peers
from services.commerce import domain
from services.commerce.actions import orders
from services.commerce.app import create_app
from services.commerce.domain import Line
from services.commerce.pictures import Gallery
from shared import divisions, settings
from shared.assembly import open_database, open_edge, open_objects
from shared.auth.acting import Actor
from shared.clock import SystemClock, new_id
from shared.condition import Condition
from shared.storage.access import Claim, Committed, Database, Document, Freshness, recent
from shared.storage.location import PICTURES
from shared.web.service import Application

_NAME = "commerce"

URL = "BENCH_POSTGRES"
TAKING = "BENCH_TAKING"
"""Of the environment: where the peer's server is, and how stock is taken there."""


def recently() -> Application:
    """The service as it is, but that one's order may be read from a proof a second old."""
    read_order = orders.read_order

    def read(database: Database, citizen: str, order_id: str, _: Freshness) -> Committed[Document]:
        return read_order(database, citizen, order_id, recent(1.0))

    return _with(read_order=read)


def peer() -> Application:
    """The service with its orders in PostgreSQL, a connection for each thread."""
    threads = settings.load().threads
    taking = cast(peers.Taking, os.environ[TAKING])
    shop = peers.PeerShop(peers.engine(os.environ[URL], threads), SystemClock(), taking)

    def place(
        _: Database,
        citizen: str,
        claim: Claim,
        lines: Sequence[Line],
        total: int | None,
        __: Actor | None,
        **___: int,
    ) -> Committed[Document]:
        return shop.place_order(citizen, claim, lines, total)

    def read(_: Database, citizen: str, order_id: str, __: Freshness) -> Committed[Document]:
        return shop.read_order(citizen, order_id)

    return _with(place_order=place, read_order=read)


def nothing() -> Application:
    """The service that stores nothing: every order is placed, and every order is found."""
    shop = _Nothing()
    return _with(place_order=shop.place_order, read_order=shop.read_order)


class _Nothing:
    """Orders by the rules of the domain, kept nowhere."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._products = {key: body for key, body, _ in goods.stocked()}

    def place_order(
        self,
        _: Database,
        citizen: str,
        __: Claim,
        lines: Sequence[Line],
        total: int | None,
        ___: Actor | None,
        **____: int,
    ) -> Committed[Document]:
        now_ms = self._clock.now_ms()
        order_id = new_id("order", now_ms, self._clock.random(10))
        placed = self._order(citizen, now_ms, order_id, lines)
        domain.check_total(placed.body, total)
        return Committed(placed, 1)

    def read_order(
        self, _: Database, citizen: str, order_id: str, __: Freshness
    ) -> Committed[Document]:
        line = Line(goods.HOT[0], 1)
        return Committed(self._order(citizen, self._clock.now_ms(), order_id, [line]), 1)

    def _order(self, citizen: str, now_ms: int, order_id: str, lines: Sequence[Line]) -> Document:
        wanted = domain.merged(lines)
        priced = [(line, self._products[line.product]) for line in wanted]
        return Document("orders", order_id, 1, domain.new_order(citizen, now_ms, priced))


def _with(**replaced: Callable[..., Committed[Document]]) -> Application:
    """The service as its wsgi module puts it together, with other actions in place of its own."""
    for name, action in replaced.items():
        setattr(orders, name, action)
    read, clock = settings.load(), SystemClock()
    database = open_database(read, _NAME, domain.CATALOGUE, clock)
    edge = open_edge(read, _NAME, clock)
    gallery = Gallery(*open_objects(read, _NAME, PICTURES, clock), clock)
    return create_app(database, divisions.read(divisions.FILE), gallery, 0, edge, Condition(clock))
