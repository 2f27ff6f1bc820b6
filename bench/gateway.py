"""The public list through the gateway, against nginx serving the same bytes as a file: part (f).

The list is one page of twenty products. Each has one worker, writes an access log, and is asked
over 64 connections. The gateway is the platform's, with its rates lifted; behind it the service
answers once in two seconds. An nginx that caches the same list and does nothing else tells how much
of the distance is the cache's, and how much the gateway's own work.

All three are asked for the plain list, and for the one that phones ask for, compressed.
"""

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from bench import street, wrk
from bench.lab import Lab, middle
from bench.report import Finding, ratio
from infra import gateway, nginx
from infra.gateway import Gateway, Rate, Service
from infra.seaweed import free_ports
from tests.support.gateway import GatewayServer
from tests.support.waiting import wait_until

_PAGE_PRODUCTS = 20
_LIST = f"/commerce/v1/products?limit={_PAGE_PRODUCTS}"
_NAME = "/list"
_TARGET = 0.9
_UNLIMITED = Rate(1_000_000, 1_000_000)

_PLAIN = """
{user}
worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 2048; }}
http {{
    access_log access.log;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    open_file_cache max=10;
    types {{ }}
    default_type application/json;
{inside}
}}
"""

_FILE = """
    server {{
        listen 127.0.0.1:{port};
        root files;
        {header}
    }}
"""

_CACHE = """
    request_pool_size 16k;
    proxy_temp_path temp;
    proxy_cache_path cache keys_zone=lists:1m use_temp_path=off;
    proxy_cache_key $http_accept_encoding$request_uri;
    proxy_ignore_headers Vary;
    proxy_cache_lock on;
    proxy_cache_background_update on;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_cache lists;
            proxy_pass http://127.0.0.1:{upstream};
        }}
    }}
"""


@dataclass(frozen=True, slots=True)
class _Form:
    """How the list is asked for: wrk's mode, what a client says, what the findings are called."""

    mode: str
    coding: str
    title: str
    target: float


_FORMS = (_Form("get", "", "", _TARGET), _Form("packed", "gzip", "compressed: ", _TARGET))


def measure(lab: Lab) -> Iterator[Finding]:
    """Part (f)."""
    lab.say("the public list through the gateway")
    open_street = street.opened(lab)
    with (
        open_street.serving(street.our_site(2, 32)) as served,
        _gateway(lab, served.port) as door,
        _caching_nginx(lab, served.port) as cache,
    ):
        listed = _body(door, _LIST)
        if listed.count(b'"store_id"') != _PAGE_PRODUCTS:
            raise RuntimeError(f"not a page of products: {listed!r}")
        for form in _FORMS:
            yield from _compared(lab, form, door, cache)


def _compared(lab: Lab, form: _Form, door: int, cache: int) -> Iterator[Finding]:
    listed = _body(door, _LIST, form.coding)
    with _plain_nginx(lab, listed, form.coding) as file:
        urls = (_url(door, _LIST), _url(cache, _LIST), _url(file, _NAME))
        results = lab.alternate(
            *(partial(wrk.run, url, form.mode, None, lab.pace.round_seconds) for url in urls),
            warm=False,
        )
    ours, cached, plain = (middle(found, lambda answer: answer.per_second) for found in results)
    p99 = middle(results[0], lambda answered: answered.p99_ms)
    title, size = form.title, f"{len(listed)} bytes"
    yield ratio("f", f"{title}the gateway to a file", ours, plain, form.target)
    yield ratio("f", f"{title}the gateway to nginx's cache alone", ours, cached)
    yield ratio("f", f"{title}nginx's cache alone to a file", cached, plain)
    yield Finding("f", f"{title}the list through the gateway", ours, "lists/s", how=size)
    yield Finding("f", f"{title}the list from nginx's cache alone", cached, "lists/s", how=size)
    yield Finding("f", f"{title}the list as nginx's file", plain, "lists/s", how=size)
    yield Finding("f", f"{title}the list through the gateway, p99", p99, "ms", how=size)
    lab.say(f"  {ours:,.0f} lists/s through the gateway, {cached:,.0f} cached, {plain:,.0f} a file")


@contextmanager
def _gateway(lab: Lab, upstream: int) -> Iterator[int]:
    folder, port = lab.directory("gateway"), free_ports(1)[0]
    settings = Gateway(
        folder,
        folder / "logs",
        (Service("commerce", (f"127.0.0.1:{upstream}",)),),
        listen=f"127.0.0.1:{port}",
        user=gateway.own_user(),
        credential_rate=_UNLIMITED,
        anonymous_rate=_UNLIMITED,
        address_rate=_UNLIMITED,
    )
    with GatewayServer(settings):
        yield port


def _plain_nginx(lab: Lab, body: bytes, coding: str) -> AbstractContextManager[int]:
    """nginx with nothing but a file, which is told to be compressed where it is."""
    folder = lab.directory(f"plain{coding}")
    (folder / "files").mkdir()
    (folder / f"files{_NAME}").write_bytes(body)
    header = f"add_header Content-Encoding {coding};" if coding else ""
    return _nginx(folder, _FILE, _NAME, header=header)


def _caching_nginx(lab: Lab, upstream: int) -> AbstractContextManager[int]:
    """nginx with nothing but a cache before the service."""
    return _nginx(lab.directory("cached"), _CACHE, _LIST, upstream=upstream)


@contextmanager
def _nginx(folder: Path, server: str, path: str, **values: object) -> Iterator[int]:
    """One that is configured so, once it answers `path`; its port."""
    port = free_ports(1)[0]
    user = gateway.own_user()
    inside = server.format(port=port, **values)
    conf = _PLAIN.format(inside=inside, user=f"user {user};" if user else "")
    (folder / "nginx.conf").write_text(conf, encoding="utf-8")
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(nginx.argv(folder), stdout=out, stderr=out)
    try:
        wait_until(lambda: _answers(port, path), f"nginx; it said {out.name}")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _url(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}{path}"


def _answers(port: int, path: str) -> bool:
    try:
        return bool(_body(port, path))
    except OSError:
        return False


def _body(port: int, path: str, coding: str = "") -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Accept-Encoding": coding})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered {answer.status}: {body!r}")
    return body
