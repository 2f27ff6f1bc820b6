"""What a container of the service image runs, and how Docker learns whether it is alive.

    python -m infra.container          what SERVICE and PROCESS choose, until SIGTERM
    python -m infra.container check    exit status 0 while that serves, or sends

A web service listens on `$PORT` of every address, by IPv6 too where the machine has it; BIND says
so instead where it is not a plain port (one address, `unix:/run/gansu/commerce.sock`). Its check is
a request to where it listens. A notifier listens nowhere; its check is how long ago it last
finished what it does about once a second (`shared/notices/program.py`).

Nothing here is started as a child: gunicorn, or the notifier, *is* this process, and so gets the
signals. What process 1 has no handler for, it is spared, and a stop would be lost that comes while
it starts; so the image has SIGTERM wait, blocked, until there is one here.
"""

import os
import runpy
import signal
import socket
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType

from shared import settings, terminal
from shared.clock import SystemClock
from shared.notices import heartbeat
from shared.settings import SettingsError
from shared.settings_of_containers import ContainerSettings

CHECK_SECONDS = 2.0
"""Less than the timeout of the image's HEALTHCHECK, so that it is this check that says so."""

_EVERYWHERE = ("", "0.0.0.0", "[::]")  # noqa: S104 - compared with, not bound to


def main(argv: Sequence[str]) -> int:
    """Run it; the exit status."""
    signal.signal(signal.SIGTERM, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        chosen = ContainerSettings.from_environ(os.environ)
    except SettingsError as error:
        print(f"the settings cannot be used: {error}", file=sys.stderr)
        return 2
    if argv == ["check"]:
        return 0 if is_alive(chosen) else 1
    if chosen.process == "notify":
        _become(f"services.{chosen.service}.notify")
    else:
        _become("gunicorn", *gunicorn_arguments(chosen, addresses(chosen)))
    return 0


def gunicorn_arguments(chosen: ContainerSettings, binds: Sequence[str]) -> list[str]:
    """What gunicorn is told beside infra/gunicorn.conf.py and GUNICORN_CMD_ARGS."""
    bound = [each for bind in binds for each in ("--bind", bind)]
    application = f"services.{chosen.service}.wsgi:app"
    return ["--config", "infra/gunicorn.conf.py", "--name", chosen.service, *bound, application]


def addresses(chosen: ContainerSettings) -> list[str]:
    """Where a web service listens, in gunicorn's words."""
    return [chosen.bind] if chosen.bind else everywhere(chosen.port, six_only=_six_only())


def everywhere(port: int, *, six_only: bool | None) -> list[str]:
    """Every address of this machine. `six_only`: whether an IPv6 socket here leaves IPv4 alone;
    None where there is no IPv6.
    """
    four, six = f"0.0.0.0:{port}", f"[::]:{port}"
    if six_only is None:
        return [four]
    return [four, six] if six_only else [six]


def _six_only() -> bool | None:
    """What the kernel does with an IPv6 socket that nobody asks otherwise of."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            return bool(probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
    except OSError:
        return None


def is_alive(chosen: ContainerSettings) -> bool:
    """Whether what runs beside this process does its work."""
    if chosen.process == "notify":
        directory = settings.load_store({}).replica_directory
        return heartbeat.is_recent(directory, chosen.service, SystemClock())
    connection = _connection(addresses(chosen)[0])
    try:
        connection.request("GET", f"/{chosen.service}/health/live")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _connection(bind: str) -> HTTPConnection:
    """To a place that gunicorn listens on."""
    if bind.startswith("unix:"):
        return _UnixConnection(Path(bind.removeprefix("unix:")))
    host, _, port = bind.rpartition(":")
    # Which is asked at each of its addresses in turn.
    at = "localhost" if host in _EVERYWHERE else host.strip("[]")
    return HTTPConnection(at, int(port), timeout=CHECK_SECONDS)


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CHECK_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _become(module: str, *arguments: str) -> None:
    """`python -m module arguments`, in this process."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    """Nothing has begun yet that would have to be ended in good order."""
    raise SystemExit(0)


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:]))
