"""`make run`: the whole platform on one machine, until Ctrl-C.

What belongs here is the story: what is checked before anything starts, what waits for what, what a
person is told, and in which order it all ends.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, TextIO

from infra import credentials, guard, locks, ports, processes, programs, stores
from infra.client import Client
from infra.ending import Ending
from infra.gateway import Tls
from infra.kinds import SEAWEEDFS
from infra.layout import Layout
from infra.observed import observed
from infra.plan import Options
from infra.processes import StillRunning
from infra.programs import ROOT, Plan
from infra.provision import Unsafe, provision
from infra.seaweed import lack_of_room
from infra.services import ISSUER, SERVICES, seed_of
from infra.stores import Store
from infra.supervisor import Supervisor
from shared import terminal
from shared.clock import Clock, SystemClock
from shared.notices.outbox import database_of
from shared.settings import SettingsError, StoreSettings
from shared.storage.objects import StoreError

EXIT_FAILED = 1
EXIT_TAKEN = 3

START_SECONDS = 60.0
TAKE_OVER_SECONDS = 15.0
DEATHS_MAX = 3
LOG_CHECK_SECONDS = 10.0
KEYS_SECONDS = 600.0
"""Between looks at identity's keys, which are published days before they sign."""

LOG_TAIL_LINES = 15
_PROGRAM = ".venv/bin/python -m infra.run"
"""What a person types who wants more of it than `make run` has options for."""

_STEP_SECONDS = 0.1


class Failed(Exception):  # noqa: N818 - the end of a start
    """The platform cannot start, or go on; the message is for a person."""

    def __init__(self, message: str, status: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.status = status


class Stopped(Exception):  # noqa: N818 - not an error
    """Somebody asked for the end while the platform was still starting."""


def say(text: str, stream: TextIO | None = None) -> None:
    """Tell the person who waits. Raises nothing: where nobody can be told, all else goes on."""
    with suppress(OSError, ValueError):  # of which UnicodeError is one, and a closed stream
        print(text, file=stream or sys.stdout, flush=True)


# Whose turn it is


def take_over(layout: Layout, clock: Clock) -> int:
    """Become the one runner of this directory; a lock to hold. Ends what a dead one left.

    Raises Failed where another runner lives, or where the directory cannot be used.
    """
    try:
        layout.prepare()
        lock = _own(layout, clock)
    except OSError as error:
        raise Failed(f"{layout.root} cannot be used: {error}") from error
    found = processes.end_left(layout.processes, clock)
    if found:
        say(f"Ended what an earlier run had left: {', '.join(found)}")
    return lock


def _own(layout: Layout, clock: Clock) -> int:
    deadline = clock.monotonic() + TAKE_OVER_SECONDS
    while (lock := locks.take(layout.runner_lock)) is None:
        note = layout.runner_lock.read_text()
        if note != guard.NOTE or clock.monotonic() > deadline:
            raise Failed(
                f"The platform runs already: {note}. Stop it with Ctrl-C where it was started, or"
                f" run another beside it: {_PROGRAM} --directory .run-2 --port 8090",
                EXIT_TAKEN,
            )
        clock.sleep(_STEP_SECONDS)
    return lock


def check_port(port: int) -> None:
    """Raise Failed where the gateway could not listen."""
    trouble = ports.trouble(port)
    if trouble is not None:
        raise Failed(f"{trouble} Choose another: make run PORT={port + 1}", EXIT_TAKEN)


def check_room(kind: str, layout: Layout) -> None:
    """Raise Failed where the store of that kind would take no writes."""
    trouble = lack_of_room(layout.store) if kind == "seaweed" else None
    if trouble is not None:
        raise Failed(f"{trouble} Make room, or run elsewhere: {_PROGRAM} --directory …")


# Starting


@dataclass(slots=True)
class Start:
    """One start of the platform: each step waits for what the next one needs."""

    plan: Plan
    store: Store
    supervisor: Supervisor
    clock: Clock
    ending: Ending

    def everything(self) -> None:
        """Return when the platform serves, its sample data included. Raises Failed, Stopped."""
        # The gateway last, so that it ends first: nobody is sent to a service that has gone.
        if self.store.program is not None:
            self._run(self.store.program)
        self._await(self.store.is_ready, "the object store")
        self._provision()
        for service in SERVICES:
            for program in self._containers(service):
                self._run(program)
        self._run(programs.door(self.plan))
        telling = programs.telemetry(self.plan)
        if telling is not None:
            self._run(telling)
        for service in SERVICES:
            self._await_ready(service)
        self._await(lambda: publish_keys(self.plan), "the keys of tokens")
        for service in SERVICES:
            self._seed(service)
        # Behind the gateway though nobody waits for them: they would slow the start of what serves.
        for service in SERVICES:
            self._run(self._notifier(service))

    def _containers(self, service: str) -> list[processes.Program]:
        return programs.containers(self.plan, service, self.store.environment_of(service))

    def _notifier(self, service: str) -> processes.Program:
        environment = self.store.environment_of(database_of(service))
        return programs.notifier(self.plan, service, environment)

    def _run(self, program: processes.Program) -> None:
        programs.write_environment(program, self.plan.layout)
        self.supervisor.start(program)

    def _provision(self) -> None:
        environment = {**os.environ, "GANSU_ENV": "development", **self.store.environment}
        try:
            settings = StoreSettings.from_environ(environment)
            # Nothing runs yet that would write while objects of an earlier release are moved.
            own = Options(SEAWEEDFS, principal=SEAWEEDFS.principal, moves=True)
            options = own if self.store.users else None
            if provision(settings, self.clock, options):
                say("Made the buckets for the services' journals, keys and pictures")
        except (StoreError, Unsafe, SettingsError, ValueError) as error:
            raise Failed(f"The object store cannot be used: {error}") from error

    def _seed(self, service: str) -> None:
        if self._client().status(seed_of(service).last_planted(self.clock.now_ms())) == 200:
            return
        say(f"Planting the samples of {service} …")
        program = programs.seed(self.plan, service, self.store.environment_of(service))
        layout = self.plan.layout
        process = processes.start(program, layout.processes, self.supervisor.log_of(program.name))
        self._await(lambda: process.poll() is not None, f"the samples of {service}")
        if process.returncode != 0:
            last_words = self._last_words(program.name)
            raise Failed(f"The samples of {service} were not planted. {last_words}")

    def _client(self) -> Client:
        return client_of(self.plan)

    def _await_ready(self, service: str) -> None:
        client = self._client()
        self._await(lambda: client.status(f"/{service}/health/ready") == 200, service)

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = self.clock.monotonic() + START_SECONDS
        while not condition():
            self.supervisor.watch()
            for name, deaths in self.supervisor.deaths().items():
                if deaths >= DEATHS_MAX:
                    raise Failed(f"{name} does not start. {self._last_words(name)}")
            if self.clock.monotonic() > deadline:
                raise Failed(
                    f"Waited {START_SECONDS:.0f} s for {what}; see {self.plan.layout.logs}"
                )
            if self.ending.within(_STEP_SECONDS, self.clock):
                raise Stopped

    def _last_words(self, name: str) -> str:
        log = self.supervisor.log_of(name)
        if not log.exists():
            return f"It has no {log}."
        lines = log.read_text("utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n  ".join([f"The end of {log}:", *lines])


def client_of(plan: Plan) -> Client:
    """A client of the platform as planned."""
    return Client(plan.port, tls=plan.tls is not None)


def publish_keys(plan: Plan) -> bool:
    """Write identity's public keys to the file that services read; whether it had any to give.

    They could as well ask the address itself. But behind TLS the gateway has a certificate of the
    person's own, which services have no reason to trust.
    """
    # Past the gateway's cache: keys of an earlier store sign nothing here.
    fresh = {"Commit-Seq": "0"}
    answer = client_of(plan).ask("GET", f"/{ISSUER}/.well-known/jwks.json", headers=fresh)
    if answer is None or answer.status != 200 or not json.loads(answer.body)["keys"]:
        return False
    # Whole or not at all: services read the file while it is written.
    draft = plan.layout.keys.with_suffix(".draft")
    draft.write_bytes(answer.body)
    draft.rename(plan.layout.keys)
    return True


def watch(plan: Plan, supervisor: Supervisor, clock: Clock, ending: Ending) -> None:
    """Keep everything alive until somebody asks for the end."""
    checked = published = clock.monotonic()
    while not ending.within(_STEP_SECONDS, clock):
        supervisor.watch()
        now = clock.monotonic()
        if now - checked > LOG_CHECK_SECONDS:
            checked = now
            supervisor.bound_logs()
        if now - published > KEYS_SECONDS:
            published = now
            supervisor.attempts.succeeds("to fetch identity's keys", partial(publish_keys, plan))


# The whole


def run(options: argparse.Namespace, clock: Clock, ending: Ending) -> None:
    """Start, keep, stop. Raises Failed, and OSError where the disk fails a start."""
    began = clock.monotonic()
    layout = Layout(options.directory.absolute())
    lock = take_over(layout, clock)
    check_port(options.port)
    check_room(options.store, layout)
    plan = planned(options, layout, clock)
    locks.write_note(lock, f"process {os.getpid()}, {plan.url}")
    supervisor = Supervisor(layout, clock, say)
    store = store_chosen(options.store, plan)
    try:
        with ended(supervisor, layout, clock, ending), suppress(Stopped):
            say("Starting …")
            Start(plan, store, supervisor, clock, ending).everything()
            say(welcome(plan, store, clock.monotonic() - began))
            watch(plan, supervisor, clock, ending)
    finally:
        store.clear()
    os.close(lock)


@contextmanager
def ended(supervisor: Supervisor, layout: Layout, clock: Clock, ending: Ending) -> Iterator[None]:
    """However it ends, all programs end with it: by this process, which then lets its guard go, or
    else by the guard. A second Ctrl-C ends at once what is slow. Raises Failed.
    """
    watching = guard.start(layout)
    try:
        yield
    finally:
        say("Stopping …")
        try:
            supervisor.stop(ending.in_haste)
            processes.end_left(layout.processes, clock)  # samples that were being planted
        except StillRunning as error:
            raise Failed(f"SIGKILL does not end {error}") from error
        guard.dismiss(watching)


def planned(options: argparse.Namespace, layout: Layout, clock: Clock) -> Plan:
    """What the options ask for, with this directory's secrets. Raises Failed."""
    try:
        secrets = credentials.load_or_make(layout.secrets, clock)
    except ValueError as error:
        raise Failed(str(error)) from error
    tls = Tls(options.certificate, options.key) if options.certificate else None
    try:
        asked = observed(os.environ)
    except SettingsError as error:
        raise Failed(str(error)) from error
    return Plan(layout, secrets, options.port, options.containers, tls, asked)


def welcome(plan: Plan, store: Store, seconds: float) -> str:
    """What a person can do now."""
    insecure = " --insecure" if plan.tls else ""
    told = plan.observed.welcome()
    elsewhere = "" if plan.layout.root == ROOT / ".run" else f" DIRECTORY='{plan.layout.root}'"
    apis = "\n                 ".join(f"{plan.url}/{service}/docs" for service in SERVICES)
    return f"""
Smart Gansu is ready after {seconds:.1f} s.

  Gateway        {plan.url}
  Try the API    {apis}
  Accounts       citizen-0001, merchant-gansu, operator-1, ...: data/seed/identity.json
  Object store   {store.title}
  Secrets, logs  {plan.layout.secrets}, {plan.layout.logs}{told}

Search, sign in, order:

  curl{insecure} -s '{plan.url}/commerce/v1/products?q=%E7%99%BE%E5%90%88'
  TOKEN=$(make -s token ACCOUNT=citizen-0001{elsewhere})
  curl{insecure} -s {plan.url}/commerce/v1/orders -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -H 'Idempotency-Key: my-first-order' \\
    -d '{{"lines":[{{"product_id":"sample-lanzhou-lily","quantity":2}}]}}'

Which days of a month have tickets to the Mogao Caves, as samples:

  curl{insecure} -s "{plan.url}/tourism/v1/products/sample-mogao-b/calendar?month=$(date +%Y-%m)"

Ctrl-C stops everything.
"""


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=__doc__)
    parser.add_argument(
        "--store",
        choices=("seaweed", "moto", "s3"),
        default="seaweed",
        help="seaweed: on disk, the default; moto: in memory, forgotten at the end;"
        " s3: what GANSU_STORE_ENDPOINT, _BUCKET, _ACCESS_KEY and _SECRET_KEY name",
    )
    parser.add_argument("--port", type=int, default=8080, help="where the gateway listens")
    parser.add_argument(
        "--directory", type=Path, default=ROOT / ".run", help="where everything is kept"
    )
    parser.add_argument(
        "--containers",
        type=int,
        choices=range(1, 9),
        default=1,
        help="of each service, each with a replica and processes of its own",
    )
    parser.add_argument("--certificate", type=Path, help="a PEM file, for TLS")
    parser.add_argument("--key", type=Path, help="its private key, a PEM file")
    options = parser.parse_args(arguments)
    if (options.certificate is None) != (options.key is None):
        parser.error("--certificate and --key belong together")
    if not 1 <= options.port <= 65535:
        parser.error("--port is a number from 1 to 65535")
    return options


def store_chosen(kind: str, plan: Plan) -> Store:
    """The store of that kind. Raises Failed where the environment does not name one."""
    if kind == "seaweed":
        return stores.seaweed(plan.layout, plan.credentials)
    if kind == "moto":
        return stores.moto(plan.credentials)
    try:
        return stores.given(os.environ)
    except ValueError as error:
        raise Failed(str(error)) from error


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments; the exit status."""
    options = parsed(arguments)
    ending = Ending()
    ending.listen()
    try:
        run(options, SystemClock(), ending)
    except Failed as failure:
        say(str(failure), sys.stderr)
        return failure.status
    except OSError as error:
        say(f"The platform cannot go on: {error}", sys.stderr)
        return EXIT_FAILED
    return 0


def leave(status: int) -> NoReturn:
    """Exit with this status. What could not be told would be tried once more by the interpreter,
    and change it.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


if __name__ == "__main__":
    terminal.prepare()
    leave(main(sys.argv[1:]))
