"""Which programs a local platform is made of, and what each is told by its environment."""

import os
import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra import gateway, nginx
from infra.credentials import Credentials
from infra.gateway import Gateway, Service, Tls
from infra.layout import Layout
from infra.observed import Observed
from infra.processes import Program
from infra.services import ISSUER, SERVICES
from shared.notices.outbox import database_of

ROOT = Path(__file__).parent.parent
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asked for. `containers` of each service, each with a replica of its own, as
    they would be on as many machines.
    """

    layout: Layout
    credentials: Credentials
    port: int
    containers: int = 1
    tls: Tls | None = None
    observed: Observed = field(default_factory=Observed)

    @property
    def url(self) -> str:
        """Where the platform is, without a slash at its end."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


def containers(plan: Plan, service: str, store: Mapping[str, str]) -> list[Program]:
    """A service's containers; `store` is the environment that its store is reached by."""
    return [
        _gunicorn(
            plan,
            name,
            f"services.{service}.wsgi:app",
            WORKERS,
            {
                **store,
                **service_environment(plan, service, name),
                **plan.observed.environment(name),
            },
        )
        for name in _names(plan, service)
    ]


def service_environment(plan: Plan, service: str, container: str) -> dict[str, str]:
    """What a service is told beside where its store is."""
    return {
        "GANSU_ENV": "development",
        "GANSU_ISSUER": f"{plan.url}/{ISSUER}",
        "GANSU_JWKS": str(plan.layout.keys),
        "GANSU_SUBJECT_KEY": plan.credentials.key_of(service, "subject"),
        "GANSU_REQUEST_KEY": plan.credentials.key_of(service, "request"),
        "GANSU_CONTAINER": container,
        "GANSU_REPLICA_DIRECTORY": str(plan.layout.replicas / container),
        **_identitys(plan, service, "token", "sealing"),
    }


def _identitys(plan: Plan, service: str, *purposes: str) -> dict[str, str]:
    """Further keys of the one service that has any."""
    if service != ISSUER:
        return {}
    return {
        f"GANSU_{purpose.upper()}_KEY": plan.credentials.key_of(service, purpose)
        for purpose in purposes
    }


def notifier(plan: Plan, service: str, store: Mapping[str, str]) -> Program:
    """Sends a service's notices: to its log, unless the runner's environment says where else."""
    name = database_of(service)
    environment = {
        **store,
        "GANSU_ENV": "development",
        "GANSU_CONTAINER": name,
        "GANSU_REPLICA_DIRECTORY": str(plan.layout.replicas / name),
        **plan.observed.environment(name),
        **_identitys(plan, service, "sealing"),
    }
    argv = (sys.executable, "-m", f"services.{service}.notify")
    # A message that is under way has ten seconds to go, and its note as many.
    return Program(name, argv, ROOT, environment, grace_seconds=20)


def seed(plan: Plan, service: str, store: Mapping[str, str]) -> Program:
    """Plants a service's samples, and ends."""
    [first, *_] = containers(plan, service, store)
    argv = (sys.executable, "-m", f"infra.seeds.{service}")
    return replace(first, name=f"seed-{service}", argv=argv)


def door(plan: Plan) -> Program:
    """The gateway, configured before all services."""
    layout = plan.layout
    gateway.install(
        Gateway(
            layout.gateway,
            layout.logs,
            tuple(
                Service(
                    service,
                    tuple(f"unix:{_socket(plan, name)}" for name in _names(plan, service)),
                )
                for service in SERVICES
            ),
            listen=f"127.0.0.1:{plan.port}",
            public_host=f"127.0.0.1:{plan.port}",
            tls=plan.tls,
            user=gateway.own_user(),
            traces_percent=plan.observed.traces_percent,
        )
    )
    return Program(
        "gateway",
        tuple(nginx.argv(layout.gateway)),
        layout.gateway,
        stop_signal=signal.SIGQUIT,
        grace_seconds=3,
    )


def telemetry(plan: Plan) -> Program | None:
    """Tells of the gateway what its log says; None where nobody asked for it."""
    environment = plan.observed.environment("gateway")
    if not any(environment.values()):
        return None
    log = plan.layout.logs / "gateway-access.log"
    argv = (sys.executable, "-m", "infra.gateway_telemetry", "--log", str(log))
    return Program("gateway-telemetry", argv, ROOT, {"GANSU_ENV": "development", **environment})


def write_environment(program: Program, layout: Layout) -> None:
    """Leave a program's variables for a shell: `. .run/environment/commerce`."""
    lines = [
        f"export {name}={shlex.quote(value)}\n"
        for name, value in sorted(program.environment.items())
    ]
    path = layout.environment / program.name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(lines)


def _names(plan: Plan, service: str) -> list[str]:
    if plan.containers == 1:
        return [service]
    return [f"{service}-{number}" for number in range(1, plan.containers + 1)]


def _socket(plan: Plan, name: str) -> Path:
    return plan.layout.sockets / f"{name}.sock"


def _gunicorn(
    plan: Plan, name: str, application: str, workers: int, environment: Mapping[str, str]
) -> Program:
    argv = (
        sys.executable, "-m", "gunicorn",
        "--config", "infra/gunicorn.conf.py",
        "--name", name,
        "--bind", f"unix:{_socket(plan, name)}",
        "--workers", str(workers),
        application,
    )  # fmt: skip
    # Longer than gunicorn itself gives its workers, so that it is gunicorn that ends them.
    return Program(name, argv, ROOT, environment, grace_seconds=20)
