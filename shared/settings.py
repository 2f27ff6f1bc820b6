"""The one module that reads the environment, and the list of everything it reads.

Each setting is declared once, with its variable, its parser and the sentence that explains it;
`docs/settings.md` is written from these declarations (`python -m shared.settings`), and a test
fails while the two differ. A service gets one frozen `Settings`, as an argument.

A secret `NAME` may also be given as `NAME_FILE`, the path of a file that has it.

In production nothing secret has a default. In development everything has one, for a laptop to need
no configuration; those secrets are published here and protect nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from shared.settings_of_containers import ContainerSettings, GatewaySettings
from shared.variables import (
    ANY,
    BUCKET,
    PREFIX,
    URL,
    Environment,
    flag,
    keys_by_id,
    one_of,
    secret,
    text,
    url_or_file,
    variable,
    whole,
)
from shared.variables import SECRET_BYTES_MIN as SECRET_BYTES_MIN  # noqa: PLC0414 - read from here
from shared.variables import SettingsError as SettingsError  # noqa: PLC0414 - caught from here


def _container() -> Any:
    return variable(
        "GANSU_CONTAINER",
        text(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})?", "is empty or a name of at most 63 characters"),
        "This container's name (a pod's name, a host's), by which its journal entries say who wrote"
        " them. Safety does not depend on it.",
        default="",
    )


def _other_bucket(whose: str, doc: str) -> Any:
    parse = text(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?", "is empty or a bucket name")
    return variable(f"GANSU_{whose}_BUCKET", parse, f"The bucket of {doc}", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings(Environment):
    """What an operator's command needs to know of where documents live."""

    store_endpoint: str = variable(
        "GANSU_STORE_ENDPOINT",
        text(r"(https?://[^\s]+)?", "is empty or an http(s) URL"),
        "The object store's S3 address; empty for AWS's own in the region.",
        default="",
        development="http://127.0.0.1:8333",
    )
    store_region: str = variable(
        "GANSU_STORE_REGION", ANY, "The region that requests are signed for.", default="us-east-1"
    )
    store_profile: str = variable(
        "GANSU_STORE_PROFILE",
        one_of("if-none-match", "oss"),
        "How a create is conditional: `If-None-Match: *`, or Alibaba OSS's own header.",
        default="if-none-match",
    )
    store_bucket: str = variable(
        "GANSU_STORE_BUCKET",
        BUCKET,
        "The bucket of the journal. Never versioned.",
        development="gansu-state",
    )
    keys_bucket: str = _other_bucket(
        "KEYS",
        "keys that people's names are sealed under, in identity. Never versioned: what is erased"
        " has to be gone. Empty: the journal's.",
    )
    media_bucket: str = _other_bucket("MEDIA", "pictures. Empty: the journal's.")
    audit_bucket: str = _other_bucket(
        "AUDIT", "what `python -m infra.trail` copies of journals, under Object Lock."
    )
    store_prefix: str = variable(
        "GANSU_STORE_PREFIX",
        PREFIX,
        "What every key in the buckets begins with; empty, or it ends in `/`.",
        default="",
    )
    store_access_key: str = variable(
        "GANSU_STORE_ACCESS_KEY",
        ANY,
        "The store's access key, with the rights of this one program (docs/provisioning.md); empty"
        " to take it from boto3's chain (instance role, shared files).",
        default="",
        development="development",
        secret=True,
    )
    store_secret_key: str = variable(
        "GANSU_STORE_SECRET_KEY",
        ANY,
        "The secret of that access key.",
        default="",
        development="development-secret",
        secret=True,
    )
    store_ca_file: str = variable(
        "GANSU_STORE_CA_FILE",
        text(r"(/[^\s]*)?", "is empty or an absolute path"),
        "Certificate authorities of the store, in place of the system's; PEM.",
        default="",
    )
    replica_directory: Path = variable(  # noqa: RUF009 - a field, as all of them
        "GANSU_REPLICA_DIRECTORY",
        Path,
        "Local disk for replicas, shared by the processes of one container; lost at will.",
        default="/var/lib/gansu/replicas",
        development="/tmp/gansu/replicas",  # noqa: S108 - a laptop's; production names its own
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(StoreSettings):
    """What one process of a service needs to know. Sizes in bytes, times in seconds."""

    TITLE: ClassVar[str] = "Services"

    # Who may call
    issuer: str = variable(
        "GANSU_ISSUER",
        URL,
        "The `iss` of access tokens.",
        development="http://127.0.0.1:8080/identity",
    )
    jwks: str = variable(
        "GANSU_JWKS",
        url_or_file,
        "Where the issuer's public keys are: a URL, or the absolute path of a file.",
        development="http://127.0.0.1:8080/identity/.well-known/jwks.json",
    )
    subject_key: bytes = variable(
        "GANSU_SUBJECT_KEY",
        secret,
        "Turns account ids into what a service stores (HMAC-SHA256). Each service has its own,"
        " and it never changes: every stored document is found through it.",
        development="development only: subjects of sample accounts",
        secret=True,
    )
    request_key: bytes = variable(
        "GANSU_REQUEST_KEY",
        secret,
        "Seals list cursors and the digests of requests. All containers of a service share it;"
        " changing it breaks open lists and the repeats of requests that are under way.",
        development="development only: cursors and digests of requests",
        secret=True,
    )

    # What a request may take
    body_bytes_max: int = variable(
        "GANSU_BODY_BYTES_MAX",
        whole(1 << 10, 1 << 20),
        "A larger request body is answered 413.",
        default=str(64 << 10),
    )

    # What one account may take
    orders_a_minute: int = variable(
        "GANSU_ORDERS_A_MINUTE",
        whole(0, 1000),
        "How many orders one citizen may place within a minute; one more is answered 429. 0: no"
        " limit but the gateway's, which is for load tests.",
        default="20",
    )

    # Which one this is
    container: str = _container()

    # How much at once
    threads: int = variable(
        "GANSU_THREADS",
        whole(2, 256),
        "Threads a worker process has for requests that wait for more than the database; half as"
        " many requests may wait to write.",
        default="128",
    )

    # How long
    archive_days: int = variable(
        "GANSU_ARCHIVE_DAYS",
        whole(0, 3650),
        "Days after which what is over (closed orders, past bookings and appointments) leaves local"
        " disks for the archive, from where it is still found; 0 for never.",
        default="90",
    )

    # From when on /health/ready speaks up
    clock_seconds: int = variable(
        "GANSU_CLOCK_SECONDS",
        whole(1, 30),
        "How far this machine's clock may be from the store's before `/health/ready` says so; from"
        " 30 s on nothing is written, whatever this says.",
        default="5",
    )
    disk_free_mib: int = variable(
        "GANSU_DISK_FREE_MIB",
        whole(1, 1 << 20),
        "`/health/ready` says so when fewer MiB are free where the replicas are.",
        default="256",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierSettings(StoreSettings):
    """What a service's notifier needs to know."""

    TITLE: ClassVar[str] = "Notifiers"

    container: str = _container()
    notices: str = variable(
        "GANSU_NOTICES",
        one_of("console", "http"),
        "Where messages go: to the SMS gateway over `http`, or to the program's own output, which"
        " is for development alone.",
        default="http",
        development="console",
    )
    notices_url: str = variable(
        "GANSU_NOTICES_URL",
        text(r"(https?://[^\s/]+(/[^\s]*)?)?", "is empty or an http(s) URL"),
        "Where the SMS gateway takes messages.",
        default="",
    )
    notices_key: str = variable(
        "GANSU_NOTICES_KEY",
        text(r"[!-~]{0,512}", "has no spaces"),
        "What the SMS gateway knows this platform by: a bearer token.",
        default="",
        secret=True,
    )

    def __post_init__(self) -> None:
        if self.notices == "console" and self.environment != "development":
            raise SettingsError("GANSU_NOTICES is http outside development")
        if self.notices == "http" and not (self.notices_url and self.notices_key):
            raise SettingsError("GANSU_NOTICES_URL and GANSU_NOTICES_KEY are missing")


def _sealing_key() -> Any:
    return variable(
        "GANSU_SEALING_KEY",
        secret,
        "Seals what identity's journal must not hold in clear: signing keys, numbers and codes on"
        " their way to a phone. Identity and its notifier share it.",
        development="development only: what the journal holds sealed",
        secret=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings(Settings):
    """What one process of the identity service needs to know beside what every service does."""

    TITLE: ClassVar[str] = "Identity"

    sealing_key: bytes = _sealing_key()
    token_key: bytes = variable(
        "GANSU_TOKEN_KEY",
        secret,
        "Makes authorization codes, refresh tokens and clients' secrets. Changing it signs everyone"
        " out and ends every client's secret.",
        development="development only: codes, refresh tokens and secrets",
        secret=True,
    )
    token_seconds: int = variable(
        "GANSU_ACCESS_TOKEN_SECONDS",
        whole(60, 86_400),
        "How long an access token is good for, also after its grant was taken back.",
        default="600",
        development="3600",
    )
    codes_per_minute: int = variable(
        "GANSU_CODES_PER_MINUTE",
        whole(1, 1_000_000),
        "How many codes, to sign in or to consent, are sent in a minute to all numbers together.",
        default="1200",
    )
    staff_by_number: bool = variable(
        "GANSU_STAFF_BY_NUMBER",
        flag,
        "Whether staff may sign in as citizens do, by a mobile number alone: `yes` is for"
        " development.",
        default="no",
        development="yes",
    )

    master_keys: Mapping[str, bytes] = variable(
        "GANSU_MASTER_KEYS",
        keys_by_id,
        "Wraps the keys under which people's names are sealed: `id:64 hex digits`, separated by"
        " commas. The first wraps, all unwrap; one stays until no object below `identity/keys/`"
        " begins with its id.",
        development="development:" + "5a" * 32,
        secret=True,
    )
    verifier_url: str = variable(
        "GANSU_VERIFIER_URL",
        text(r"(https?://[^\s/]+(/[^\s]*)?)?", "is empty or an http(s) URL"),
        "The authority that verifies names (`services/identity/verifier.py`). Empty, in development"
        " alone: everybody is believed.",
        default="",
    )
    verifier_key: str = variable(
        "GANSU_VERIFIER_KEY",
        ANY,
        "What the authority knows this platform by: a bearer token.",
        default="",
        secret=True,
    )

    def __post_init__(self) -> None:
        if self.environment != "development" and not (self.verifier_url and self.verifier_key):
            raise SettingsError("GANSU_VERIFIER_URL and GANSU_VERIFIER_KEY are missing")
        if self.staff_by_number and self.environment != "development":
            raise SettingsError("GANSU_STAFF_BY_NUMBER is no outside development")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationSettings(Environment):
    """What a program needs to know to tell of itself: services and the gateway's."""

    TITLE: ClassVar[str] = "Observation"

    metrics_bind: str = variable(
        "GANSU_METRICS_BIND",
        text(r"((\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5})?", "is empty or host:port"),
        "Where Prometheus finds `/metrics`, a port of its own beside the service's; empty for no"
        " metrics. Nothing asks who reads it: it is for the inside of a network.",
        default="",
    )
    traces_endpoint: str = variable(
        "GANSU_TRACES_ENDPOINT",
        text(r"(https?://[^\s/?#]+(/[^\s?#]*)?)?", "is empty or an http(s) URL"),
        "The collector of traces: spans are posted to `/v1/traces` below it (OTLP over HTTP); empty"
        " for none.",
        default="",
    )
    traces_percent: str = variable(
        "GANSU_TRACES_PERCENT",
        text(r"100|[0-9]{1,2}(\.[0-9]{1,2})?", "is a percentage with at most two decimals"),
        "Of how many requests traces are kept. The gateway chooses; nobody else reads it.",
        default="1",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityNotifierSettings(NotifierSettings):
    """What identity's notifier needs to know beside what every notifier does."""

    TITLE: ClassVar[str] = "Identity's notifier"

    sealing_key: bytes = _sealing_key()


def load_gateway() -> GatewaySettings:
    """The gateway's settings from the process's own environment."""
    return GatewaySettings.from_environ(os.environ)


def load() -> Settings:
    """A service's settings from the process's own environment."""
    return Settings.from_environ(os.environ)


def load_store(given: Mapping[str, str]) -> StoreSettings:
    """The store's settings; where `given` has a variable, it counts and not the environment's."""
    return StoreSettings.from_environ({**os.environ, **given})


def load_notifier() -> NotifierSettings:
    """A notifier's settings from the process's own environment."""
    return NotifierSettings.from_environ(os.environ)


def load_observation() -> ObservationSettings:
    """What a program is told about telling of itself, from its own environment."""
    return ObservationSettings.from_environ(os.environ)


def load_identity() -> IdentitySettings:
    """The identity service's settings from the process's own environment."""
    return IdentitySettings.from_environ(os.environ)


def load_identity_notifier() -> IdentityNotifierSettings:
    """The settings of identity's notifier from the process's own environment."""
    return IdentityNotifierSettings.from_environ(os.environ)


def documentation() -> str:
    """`docs/settings.md`, whole."""
    parts = ["# Settings", "", "Written by `python -m shared.settings`; do not edit."]
    for group, below, told in _GROUPS:
        parts += ["", f"## {group.TITLE}", ""]
        known = {setting.name for setting in fields(below)} if below else set()
        if told:
            parts += [told, ""]
        parts += ["| variable | default | in development | what |", "|---|---|---|---|"]
        parts += [_row(setting) for setting in fields(group) if setting.name not in known]
    return "\n".join(parts) + "\n"


_GROUPS: tuple[tuple[Any, Any, str], ...] = (
    (Settings, None, ""),
    (
        NotifierSettings,
        StoreSettings,
        "Beside `GANSU_ENV`, the store's and the replica directory's, as above:",
    ),
    (
        ObservationSettings,
        Environment,
        "Of services, and of the gateway's ([observability.md](observability.md)):",
    ),
    (IdentitySettings, Settings, "Beside what every service reads:"),
    (IdentityNotifierSettings, NotifierSettings, "Beside what every notifier reads:"),
    (GatewaySettings, None, ""),
    (ContainerSettings, Environment, "What the image reads first:"),
)
"""What stands in the documentation: a group, the one whose settings it has as well, and a word."""


def _row(setting: Field[Any]) -> str:
    metadata = setting.metadata
    cells = [_cell(metadata["default"]), _cell(metadata["development"])]
    if metadata["secret"] and metadata["development"]:
        cells[1] = "a published value"
    doc = metadata["doc"]
    if metadata["secret"]:
        doc += f" A secret: `{metadata['name']}_FILE` may name a file that has it."
    return f"| `{metadata['name']}` | {' | '.join(cells)} | {doc} |"


def _cell(default: str | None) -> str:
    if default is None:
        return "required"
    return f"`{default}`" if default else "empty"


if __name__ == "__main__":
    Path("docs/settings.md").write_text(documentation(), encoding="utf-8")
