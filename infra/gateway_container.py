"""The gateway as the one program of a container: `python -m infra.gateway_container ‹directory›`.

It renders nginx's configuration from the environment (`GatewaySettings`), runs nginx, and has it
read a renewed certificate without a restart. What it cannot use is told in the log, and the
certificate before it is served on. It ends with nginx; told to end (SIGTERM), it lets what is under
way have its answer.

Where it is asked for metrics or traces (`ObservationSettings`), a program beside nginx tells them
(`infra/gateway_telemetry.py`), from a second access log that it keeps short. That program may die:
it is started again, and nobody is served worse.

`directory` is the gateway's own: configuration, cache, the switch for maintenance, the certificate
that is served. nginx's logs go to the container's own output.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from infra import certificates, gateway, nginx
from infra.beside import Beside
from infra.certificates import Pair
from infra.gateway import Gateway, Service, Tls
from infra.services import SERVICES
from shared import settings, terminal
from shared.clock import Clock, SystemClock
from shared.settings import ObservationSettings, SettingsError
from shared.settings_of_containers import GatewaySettings
from shared.times import instant

HTTP, HTTPS = 8080, 8443
SERVICE_PORT = 8000
LOOK_SECONDS = 2.0
"""Between looks at the certificate's files."""

TOLD_BYTES_MAX = 32 << 20
"""Of the second access log. Whoever reads it empties it long before, unless it is dead."""

_STEP_SECONDS = 0.1
_RESOLV_CONF = Path("/etc/resolv.conf")

Say = Callable[[str], None]


class CannotStart(Exception):  # noqa: N818 - the message is for a person
    """There is nothing to serve with."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where it listens, on all addresses of the container."""

    http: int = HTTP
    https: int = HTTPS


def planned(
    chosen: GatewaySettings,
    observed: ObservationSettings,
    directory: Path,
    tls: Tls | None,
    ports: Ports,
    resolver: str,
) -> Gateway:
    """What nginx is to be."""
    tells = bool(observed.metrics_bind or observed.traces_endpoint)
    plain, secure = _everywhere(ports.http), _everywhere(ports.https)
    listen, *also = secure if tls else plain
    return Gateway(
        directory,
        directory / "logs",
        tuple(Service(name, (where,)) for name, where in _upstreams(chosen).items()),
        listen=listen,
        also_listen=tuple(also),
        redirect_from=tuple(plain) if tls else (),
        public_host=chosen.host,
        resolver=resolver,
        proxies=chosen.proxies,
        tls=tls,
        user=gateway.own_user(),
        workers=chosen.workers,
        traces_percent=observed.traces_percent if observed.traces_endpoint else None,
        telemetry=directory / "logs" / "gateway-told.log" if tells else None,
    )


def resolver_of(resolv_conf: str) -> str:
    """The first name server. Raises CannotStart where there is none."""
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return f"[{words[1]}]" if ":" in words[1] else words[1]
    raise CannotStart("There is no name server to look containers up with: GANSU_GATEWAY_RESOLVER")


@dataclass(slots=True)
class Renewal:
    """The certificate that is served, and the files that a new one comes in."""

    files: Tls
    served: Path
    clock: Clock
    say: Say
    _seen: Pair | None = None
    _trouble: str = ""

    def begin(self) -> None:
        """Have something to serve. Raises CannotStart."""
        if not self._taken() and not self.served.exists():
            raise CannotStart(f"No certificate to serve: {self._trouble}")

    def renew(self, accept: Callable[[], bool]) -> None:
        """Serve what is new in the files, unless `accept`, which has nginx try it, says no."""
        before = self.served.read_bytes()
        if self._taken() and not accept():
            self.served.write_bytes(before)
            self.say("The new certificate is refused by nginx; the one before is served on")

    def _taken(self) -> bool:
        """Whether there was something new, that can be served."""
        try:
            pair = certificates.found(self.files)
            if pair == self._seen:
                return False
            self._seen = pair
            certificates.store(pair, self.served, self.clock.now_ms())
        except certificates.Refused as refused:
            self._tell(str(refused))
            return False
        self._trouble = ""
        self.say(f"Serving a certificate that is good until {pair.ends:%Y-%m-%d %H:%M} UTC")
        return True

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self.say(f"A certificate is refused, the one before is served on: {trouble}")


@dataclass(slots=True)
class Container:
    """nginx, and what is done while it runs."""

    directory: Path
    clock: Clock
    say: Say
    renewal: Renewal | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, planned: Gateway) -> int:
        """Serve until nginx ends, or is told to; the exit status."""
        self._prepare(planned)
        process = subprocess.Popen(nginx.argv(self.directory))
        beside = self._teller(planned.telemetry)
        looked = self.clock.monotonic()
        while process.poll() is None and not self.stopping.wait(_STEP_SECONDS):
            if beside:
                beside.look()
            if self.clock.monotonic() - looked > LOOK_SECONDS:
                looked = self.clock.monotonic()
                self._look_after(planned)
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
        status = process.wait()
        # After nginx, whose last requests are told as well.
        if beside:
            beside.stop()
        return status

    def _look_after(self, planned: Gateway) -> None:
        if self.renewal:
            self.renewal.renew(self._reloaded)
        if planned.telemetry:
            shorten(planned.telemetry)

    def _teller(self, log: Path | None) -> Beside | None:
        if log is None:
            return None
        module = "infra.gateway_telemetry"
        argv = (sys.executable, "-m", module, "--log", str(log), "--empty")
        return Beside(argv, self.clock, self.say)

    def _prepare(self, planned: Gateway) -> None:
        # Left by one that was killed; the number may be another's by now.
        (self.directory / "nginx.pid").unlink(missing_ok=True)
        planned.logs.mkdir(parents=True, exist_ok=True)
        for log, output in (("access", "stdout"), ("error", "stderr")):
            link = planned.logs / f"gateway-{log}.log"
            if not link.is_symlink():
                link.symlink_to(f"/dev/{output}")
        if planned.telemetry:
            # Told is only what happens from now on.
            planned.telemetry.unlink(missing_ok=True)
        gateway.install(planned)

    def _reloaded(self) -> bool:
        told = subprocess.run(nginx.argv(self.directory, "-s", "reload"), check=False)
        return told.returncode == 0


def shorten(log: Path) -> None:
    """Empty what nobody reads. nginx appends, so that it goes on at the new end."""
    try:
        if log.stat().st_size > TOLD_BYTES_MAX:
            os.truncate(log, 0)
    except OSError:  # it is not there yet
        return


def _upstreams(chosen: GatewaySettings) -> dict[str, str]:
    own = {name: f"{name}:{SERVICE_PORT}" for name in SERVICES}
    unknown = chosen.services.keys() - own.keys()
    if unknown:
        raise CannotStart(f"GANSU_GATEWAY_SERVICES names what is no service: {sorted(unknown)}")
    return {**own, **chosen.services}


def _everywhere(port: int) -> list[str]:
    addresses = [f"0.0.0.0:{port}"]
    try:
        socket.create_server(("::", 0), family=socket.AF_INET6).close()
    except OSError:  # a machine without IPv6
        return addresses
    return [*addresses, f"[::]:{port}"]


def main(directory: Path, ports: Ports | None = None) -> int:
    """Serve; the exit status."""
    clock = SystemClock()

    def say(text: str) -> None:
        print(json.dumps({"time": instant(clock.now_ms()), "message": text}), flush=True)

    container = Container(directory, clock, say)
    # At once: the first process of a container is spared what it did not ask for.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: container.stopping.set())
    try:
        chosen, observed = settings.load_gateway(), settings.load_observation()
        resolver = chosen.resolver or resolver_of(_RESOLV_CONF.read_text())
        tls = None
        if chosen.certificate:
            served = directory / "served.pem"
            tls = Tls(served, served)
            files = Tls(Path(chosen.certificate), Path(chosen.key))
            container.renewal = Renewal(files, served, clock, say)
            container.renewal.begin()
        plan = planned(chosen, observed, directory, tls, ports or Ports(), resolver)
    except (CannotStart, SettingsError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return container.run(plan)


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(Path(sys.argv[1])))
