"""The platform on one server, in containers, as docs/compose.md has it: what its users are
promised while containers die, certificates are renewed, and it is closed for maintenance.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from infra.smoke import SAMPLES, main
from shared.clock import SystemClock
from tests.support.compose import PROJECT, Installation
from tests.support.docker import Docker
from tests.support.gateway import certificate_shown
from tests.support.limits import ENTRY
from tests.support.waiting import wait_until

LILY = "/commerce/v1/products/sample-lanzhou-lily"
KILLED = (
    *("commerce-1", "commerce-2", "store-1", "identity-1", "gateway-1", "commerce-notices-1"),
)
TRIES_MAX = 300
# Three who share one token stay below the gateway's twenty requests a second: a 429 would be about
# them, and tells nothing of what was killed.
PACE = 0.2

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def installed(
    docker_with_bases: Docker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    installation = Installation(docker_with_bases, tmp_path_factory.mktemp("installation"))
    installation.build()
    installation.init()
    installation.up()
    installation.compose("--profile", "samples", "up", "--no-recreate", *samples())
    yield installation
    installation.compose("--profile", "samples", "down", "--volumes", "--timeout=1")


def samples() -> list[str]:
    return [f"samples-{service}" for service in ("identity", "commerce", "tourism", "health")]


def test_an_order_and_bookings_are_made_read_and_taken_back(installed: Installation) -> None:
    """The smoke test that an operator runs."""
    authorities = ["--ca", str(installed.directory / "tls" / "certificate.pem")]
    writes = ["--write", "--samples", "--code-command", installed.codes_command()]
    assert main([installed.url, *authorities, *writes], SystemClock()) == 0


def test_containers_can_do_little(installed: Installation) -> None:
    published = {}
    for name in installed.names():
        found = installed.inspect(name)
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert found["Config"]["User"] == "10001:10001", name
        volumes = [mount for mount in found["Mounts"] if mount["Type"] == "volume"]
        kept = {mount["Destination"] for mount in volumes}
        assert kept <= {"/var/lib/store", "/var/lib/gateway"}, name
        published[name] = {port for port, where in found["HostConfig"]["PortBindings"].items()}
    own = {name.removeprefix(f"{PROJECT}-"): ports for name, ports in published.items() if ports}
    assert own == {"gateway-1": {"8080/tcp", "8443/tcp"}}
    named = installed.docker("volume", "ls", "--format={{.Name}}").split()
    assert [name for name in named if name.startswith(PROJECT)] == [f"{PROJECT}_store"]


def test_no_secret_stands_in_a_container_s_environment(installed: Installation) -> None:
    secrets = [
        text
        for file in (installed.directory / "secrets").iterdir()
        if "access_key" not in file.name and len(text := file.read_text().strip()) > 10
    ]
    shown = json.dumps([installed.inspect(name) for name in installed.names()])
    assert secrets
    assert not any(secret in shown for secret in secrets)


def test_a_service_reads_no_other_s_secrets(installed: Installation) -> None:
    held = installed.docker("exec", f"{PROJECT}-commerce-1", "ls", "/run/secrets").split()
    assert held == [
        *("commerce_request_key", "commerce_store_access_key"),
        *("commerce_store_secret_key", "commerce_subject_key"),
    ]


ASKED = """
from shared.clock import SystemClock
from shared.settings import load_store
from shared.storage.location import store_address
from shared.storage.objects import Denied
from shared.storage.s3 import S3Store
store = S3Store(store_address(load_store({})), SystemClock())
def tried(what, *arguments):
    try:
        return len(what(*arguments) or ())
    except Denied:
        return "denied"
"""


def asked(installed: Installation, container: str, expression: str) -> object:
    """What a container's own credential gets from the store."""
    program = f"{ASKED}\nimport json\nprint(json.dumps({expression}))"
    return json.loads(
        installed.docker("exec", f"{PROJECT}-{container}", "python", "-c", program).splitlines()[-1]
    )


def test_a_service_s_credential_is_good_for_its_own_objects_alone(
    installed: Installation,
) -> None:
    own, other = f"commerce/{ENTRY}", f"health/{ENTRY}"
    read = "tried(store.get, {!r})"
    for key, reader, stranger in (
        (own, "commerce-1", "health-1"),
        (other, "health-1", "commerce-1"),
        (own, "trail-1", "tourism-notices-1"),
    ):
        assert asked(installed, reader, read.format(key)) != "denied"
        assert asked(installed, stranger, read.format(key)) == "denied"
    # Nobody deletes an entry, its own or another's; and it is still there.
    for container, key in (("commerce-1", own), ("commerce-1", other), ("trail-1", own)):
        delete = f"tried(store.delete, {key!r})"
        assert asked(installed, container, delete) == "denied", (container, key)
    for container, key in (("commerce-1", own), ("health-1", other)):
        assert asked(installed, container, read.format(key)) != "denied"


def test_journals_are_copied_to_the_audit_s_bucket(installed: Installation) -> None:
    def copied() -> bool:
        return "commerce: " in installed.docker("logs", f"{PROJECT}-trail-1")

    wait_until(copied, "the first round")
    round_of = ("exec", f"{PROJECT}-trail-1", "python", "-m", "infra.trail")
    installed.docker(*round_of)
    assert "agrees" in installed.docker(*round_of, "commerce", "--check")


MEASURES = """
from urllib.request import urlopen
print(urlopen("http://{}:9464/metrics", timeout=5).read().decode())
"""


def test_prometheus_would_find_the_measures_of_services_and_gateway(
    installed: Installation,
) -> None:
    """Asked from beside them, as Prometheus is, by the names that it has."""
    installed.status(f"127.0.0.1:{installed.https}", "/commerce/v1/products")

    def told(name: str, what: str) -> bool:
        program = MEASURES.format(name)
        text = installed.docker("exec", f"{PROJECT}-trail-1", "python", "-c", program)
        line = rf'^{what}{{[^}}]*service="{name}"[^}}]*}} [1-9]'
        return re.search(line, text, re.MULTILINE) is not None

    for name in ("identity", "commerce", "tourism", "health"):
        wait_until(lambda name=name: told(name, "gansu_ready"), name)  # type: ignore[misc]
    counted = "gansu_gateway_request_duration_seconds_count"
    wait_until(lambda: told("gateway", counted), "the gateway's")
    assert installed.status(f"127.0.0.1:{installed.https}", "/metrics") == 404


def test_it_is_reached_over_ipv6_and_plain_http_leads_to_https(installed: Installation) -> None:
    path = "/commerce/v1/products"
    networks = installed.inspect(f"{PROJECT}-gateway-1")["NetworkSettings"]["Networks"]
    container = networks[f"{PROJECT}_edge"]["GlobalIPv6Address"]
    assert installed.status(f"[::1]:{installed.https}", path) == 200
    assert installed.status(f"[{container}]:8443", path) == 200
    for loopback in ("127.0.0.1", "[::1]"):
        assert installed.status(f"{loopback}:{installed.http}", path, tls=False) == 308


def test_a_certificate_is_renewed_without_a_restart(installed: Installation) -> None:
    before = installed.inspect(f"{PROJECT}-gateway-1")["State"]["StartedAt"]
    new = installed.renew()
    wait_until(lambda: certificate_shown(installed.https) == new, "the new certificate")
    installed.renew(ends=-1)
    log = ("logs", f"{PROJECT}-gateway-1")
    wait_until(lambda: "ended on" in installed.docker(*log), "word of the one that is over")
    # Workers that end may still answer with what they began with, but never with that one.
    wait_until(lambda: certificate_shown(installed.https) == new, "the certificate before")
    last = installed.renew()
    wait_until(lambda: certificate_shown(installed.https) == last, "the last certificate")
    assert installed.inspect(f"{PROJECT}-gateway-1")["State"]["StartedAt"] == before


@dataclass
class Buyers:
    """People who order and repeat what was not answered, under the same key, until it is."""

    installed: Installation
    token: str
    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: dict[str, str] = field(default_factory=dict)
    unanswered: int = 0

    def buy(self, name: str) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            self._insist(f"{name}-{number}")
            time.sleep(PACE)

    def _insist(self, key: str) -> None:
        # To an end also where nothing ever answers: the test fails by what it counts.
        for _ in range(TRIES_MAX):
            order = self._placed(key)
            if order is not None:
                self.acknowledged[key] = order
                return
            self.unanswered += 1
            time.sleep(PACE)

    def _placed(self, key: str) -> str | None:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        lines = [{"product_id": SAMPLES["product"], "quantity": 1}]
        answer = self.installed.client().ask(
            "POST", "/commerce/v1/orders", headers=headers, document={"lines": lines}
        )
        if answer is None or answer.status in {502, 503, 504}:
            return None
        assert answer.status == 201, answer
        return str(answer.json()["id"])

    def orders(self) -> list[str]:
        """All that the account has, by its own list."""
        found: list[str] = []
        after = ""
        headers = {"Authorization": f"Bearer {self.token}"}
        while True:
            path = f"/commerce/v1/orders?limit=100{after}"
            answer = self.installed.client().ask("GET", path, headers=headers)
            assert answer is not None
            assert answer.status == 200, answer
            page = answer.json()
            found += [order["id"] for order in page["items"]]
            if page["after"] is None:
                return found
            after = f"&after={page['after']}"


def test_whatever_is_killed_nothing_acknowledged_is_lost_and_orders_go_on(
    installed: Installation,
) -> None:
    buyers = Buyers(installed, installed.token("+8613900000002"))
    had = set(buyers.orders())
    threads = [threading.Thread(target=buyers.buy, args=(f"buyer-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for name in KILLED:
            installed.kill(name)
            before = len(buyers.acknowledged)
            wait_until(
                lambda before=before: len(buyers.acknowledged) > before + 3,  # type: ignore[misc]
                f"orders after the death of {name}",
                seconds=90,
            )
    finally:
        buyers.stop.set()
        for thread in threads:
            thread.join()
    # Each key has one order, and there is no order that nobody asked for.
    assert len(set(buyers.acknowledged.values())) == len(buyers.acknowledged)
    assert set(buyers.orders()) - had == set(buyers.acknowledged.values())
    # What is seen is not luck: some requests met a dead container.
    assert buyers.unanswered > 0


def test_it_is_closed_for_maintenance_and_opened_again(installed: Installation) -> None:
    client = installed.client()

    def posted() -> int:
        answer = client.ask("POST", "/commerce/v1/orders", document={})
        assert answer is not None
        return answer.status

    assert posted() == 401
    installed.compose("exec", "-T", "gateway", "maintenance", "on", "--reason", "升级")
    assert posted() == 503
    assert client.status("/commerce/v1/products") == 200
    installed.kill("gateway-1")
    wait_until(lambda: client.status("/commerce/v1/products") == 200, "the gateway")
    assert posted() == 503
    installed.compose("exec", "-T", "gateway", "maintenance", "off")
    assert posted() == 401


def test_told_to_stop_it_stops_by_itself(installed: Installation) -> None:
    """Last. Whoever has to be killed ends with 137."""
    installed.compose("stop", "gateway", "commerce", "commerce-notices")
    for name in ("gateway-1", "commerce-1", "commerce-2", "commerce-notices-1"):
        assert installed.inspect(f"{PROJECT}-{name}")["State"]["ExitCode"] == 0, name


def test_the_profile_of_observability_is_sound(installed: Installation) -> None:
    """Its images cannot be pulled everywhere: what is not run here is at least read."""
    shown = installed.compose("--profile", "observability", "config", "--format=json")
    services = json.loads(shown)["services"]
    for name in ("otel-collector", "prometheus", "grafana", "tempo"):
        assert not services[name]["image"].endswith(":latest")
        for mount in services[name].get("volumes", []):
            assert mount["type"] == "volume" or mount["read_only"]
