"""What programs of containers are told, beside what a service is told anywhere."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import ClassVar

from shared.variables import NAME, Environment, SettingsError, one_of, text, variable, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSettings(Environment):
    """What a container of the image runs (infra/container.py)."""

    TITLE: ClassVar[str] = "Containers"
    service: str = variable("SERVICE", NAME, "Which service it is of.", default="commerce")
    process: str = variable("PROCESS", one_of("web", "notify"), "Which process.", default="web")
    port: int = variable("PORT", whole(1, 65_535), "Where it listens.", default="8000")
    bind: str = variable(
        "BIND",
        text(r"(unix:/[^\s]+|[^\s]*:[0-9]{1,5})?", "is empty, unix:/path or address:port"),
        "Where it listens, if not on a port of every address: `unix:/path`, or `address:port`.",
        default="",
    )


def _hosts(value: str) -> Mapping[str, str]:
    row = r"[a-z]{1,32}=[A-Za-z0-9._-]{1,253}:[0-9]{1,5}"
    if not re.fullmatch(rf"({row}(,{row})*)?", value):
        raise ValueError("is name=host:port, separated by commas")
    return dict(row.split("=") for row in value.split(",") if row)


def _networks(value: str) -> tuple[str, ...]:
    if "%" in value:
        raise ValueError("is networks without zones")
    try:
        # In the form that nginx reads, whatever the form it was written in.
        return tuple(str(ip_network(row)) for row in value.split(",") if row)
    except ValueError as error:
        raise ValueError(f"is networks like 10.0.0.0/8, separated by commas: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings(Environment):
    """What the gateway needs to know in a container."""

    TITLE: ClassVar[str] = "The gateway in a container"

    host: str = variable(
        "GANSU_GATEWAY_HOST",
        text(
            r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,39}\])(:[0-9]{1,5})?",
            "is a host, with a port unless it is the usual one",
        ),
        "Where clients find the platform: what services see as the host, and where plain HTTP is"
        " sent to.",
        development="localhost",
    )
    services: Mapping[str, str] = variable(
        "GANSU_GATEWAY_SERVICES",
        _hosts,
        "Where services are, `name=host:port` separated by commas. A host stands for all containers"
        " of its service, and is looked up every two seconds. Empty: each by its name, port 8000.",
        default="",
    )
    resolver: str = variable(
        "GANSU_GATEWAY_RESOLVER",
        text(r"([0-9A-Za-z.:\[\]-]{1,64})?", "is empty or the address of a name server"),
        "The name server; empty for the first of `/etc/resolv.conf`.",
        default="",
    )
    certificate: str = variable(
        "GANSU_GATEWAY_CERTIFICATE",
        text(r"(/[^\s]*)?", "is empty or an absolute path"),
        "The certificate with its chain; PEM. Looked at every few seconds. Empty: no TLS, which is"
        " for a gateway behind one that has it.",
        default="",
    )
    key: str = variable(
        "GANSU_GATEWAY_KEY",
        text(r"(/[^\s]*)?", "is empty or an absolute path"),
        "The certificate's private key; PEM.",
        default="",
    )
    workers: int = variable(
        "GANSU_GATEWAY_WORKERS", whole(1, 64), "Processes that serve.", default="2"
    )

    proxies: tuple[str, ...] = variable(
        "GANSU_GATEWAY_PROXIES",
        _networks,
        "Networks of proxies before the gateway, separated by commas, and of nobody else. A request"
        " that comes from one is counted and logged under the last address in its `X-Forwarded-For`"
        " that is of none of them. Empty: nobody is believed.",
        default="",
    )

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise SettingsError("GANSU_GATEWAY_CERTIFICATE and GANSU_GATEWAY_KEY belong together")
