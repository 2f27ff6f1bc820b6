"""Sites: the service and its peers, each served by gunicorn as the platform serves it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench import goods, shops, sites, wrk
from bench.lab import Lab
from bench.peer import Taking
from bench.wrk import Citizens
from infra.seaweed import free_ports
from tests.support.waiting import wait_until

ORDERS = "/commerce/v1/orders"
_ISSUER = "http://127.0.0.1/bench"
_READY = "/commerce/health/ready"


@dataclass(frozen=True, slots=True)
class Site:
    """One application, at one number of processes and threads in each."""

    name: str
    app: str
    workers: int
    threads: int
    environment: Mapping[str, str] = field(default_factory=dict)
    worker_class: str = ""
    """Another than the platform's."""

    @property
    def how(self) -> str:
        plural = "es" if self.workers > 1 else ""
        return f"{self.workers} process{plural} × {self.threads} threads"


def our_site(workers: int, threads: int) -> Site:
    return Site("ours", "services.commerce.wsgi:app", workers, threads)


def recent_site(workers: int, threads: int) -> Site:
    return Site("ours, recent", "bench.sites:recently()", workers, threads)


def nothing_site(workers: int, threads: int) -> Site:
    return Site("storing nothing", "bench.sites:nothing()", workers, threads)


def peer_site(taking: Taking, workers: int, threads: int) -> Site:
    """Its driver blocks, so threads serve it: greenlets of one thread would wait for each other."""
    app, environment = "bench.sites:peer()", {sites.TAKING: taking}
    return Site(f"peer, {taking}", app, workers, threads, environment, "gthread")


@dataclass(frozen=True, slots=True)
class Served:
    """A site that runs; `pid` is gunicorn's master."""

    site: Site
    port: int
    pid: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def is_ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", _READY)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def is_ready_throughout(self) -> bool:
        """Whether all of many callers at once find it ready."""
        try:
            wrk.run(self.url(_READY), "get", None, 1)
        except RuntimeError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Street:
    """What all sites share: the store with all the goods, the citizens, what wrk is to send."""

    lab: Lab
    folder: Path
    citizens: Citizens
    environment: Mapping[str, str]
    rows: Mapping[str, Path]

    @contextmanager
    def serving(self, site: Site) -> Iterator[Served]:
        """Run a site; its log is in the lab's folder."""
        port = free_ports(1)[0]
        threads = {"GANSU_THREADS": str(site.threads)}
        with (self.folder / f"{site.name}-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                _gunicorn(site, port),
                env={**os.environ, **self.environment, **site.environment, **threads},
                stdout=log,
                stderr=log,
            )
        try:
            served = Served(site, port, process.pid)
            try:
                wait_until(served.is_ready, site.name, seconds=60)
                # One process has said so. Ask until none has anything to open any more.
                wait_until(served.is_ready_throughout, f"all processes of {site.name}", seconds=60)
            except AssertionError as error:
                said = Path(log.name).read_text(encoding="utf-8")[-2000:]
                raise RuntimeError(f"{error}; it said: {said}") from None
            yield served
        finally:
            process.terminate()
            process.wait(30)


def opened(lab: Lab) -> Street:
    """Seed a bucket, and give out tokens."""
    folder = lab.directory("http")
    citizens = Citizens(folder, _ISSUER)
    address = lab.bucket()
    shops.seed(address, folder / "replicas" / "commerce")
    environment = {
        "GANSU_ENV": "development",
        "GANSU_ISSUER": _ISSUER,
        "GANSU_JWKS": str(citizens.jwks),
        "GANSU_STORE_ENDPOINT": str(address.endpoint_url),
        "GANSU_STORE_BUCKET": address.bucket,
        "GANSU_STORE_ACCESS_KEY": str(address.access_key),
        "GANSU_STORE_SECRET_KEY": str(address.secret_key),
        "GANSU_REPLICA_DIRECTORY": str(folder / "replicas"),
        # Two hundred citizens stand for a province here.
        "GANSU_ORDERS_A_MINUTE": "0",
        sites.URL: lab.postgres.url,
    }
    rows = {
        "hot": citizens.orders(goods.HOT, folder / "hot"),
        "spread": citizens.orders(goods.SPREAD, folder / "spread"),
    }
    return Street(lab, folder, citizens, environment, rows)


def _gunicorn(site: Site, port: int) -> list[str]:
    served_by = ("--worker-class", site.worker_class) if site.worker_class else ()
    return [
        *(sys.executable, "-m", "gunicorn", "--config", "infra/gunicorn.conf.py", *served_by),
        *("--bind", f"127.0.0.1:{port}", "--workers", str(site.workers), site.app),
    ]
