"""What `init` makes, and that compose.yaml tells every program what it needs, and no more."""

import json
import re
import shlex
import stat
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.compose.__main__ import COMPOSE_FILE, GIVEN, main
from infra.kinds import SEAWEEDFS
from infra.rights import AUDITOR, programs
from infra.services import SERVICES
from infra.store_container import users_in
from infra.stores import user_of
from shared.clock import SystemClock
from shared.notices.outbox import database_of
from shared.settings import (
    IdentityNotifierSettings,
    IdentitySettings,
    NotifierSettings,
    ObservationSettings,
    Settings,
    StoreSettings,
)
from shared.settings_of_containers import ContainerSettings, GatewaySettings

ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()
PRODUCTION = (
    "--host=gansu.example:8443",
    "--notices-url=https://sms.example",
    "--verifier-url=https://names.example",
)


def init(directory: Path, *options: str) -> int:
    return main(["init", f"--directory={directory}", *(options or PRODUCTION)], CLOCK)


def test_it_makes_what_is_missing_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "installation"
    assert init(folder) == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "env").stat().st_mode) == 0o600
    secrets = {file.name: file.read_text() for file in (folder / "secrets").iterdir()}
    assert all(len(text) > 32 for name, text in secrets.items() if name.endswith("subject_key"))
    made = [text for name, text in secrets.items() if name not in GIVEN]
    assert len(set(made)) == len(made)


def test_a_folder_that_others_enter_is_refused_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o755)
    assert init(tmp_path) == 1
    assert "chmod 700" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_it_overwrites_nothing_and_makes_what_was_lost(tmp_path: Path) -> None:
    assert init(tmp_path) == 0
    (tmp_path / "secrets" / "notices_key").chmod(0o644)
    (tmp_path / "secrets" / "notices_key").write_text("given")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    lost = tmp_path / "secrets" / "health_request_key"
    lost.unlink()
    assert init(tmp_path) == 0
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert after.keys() == before.keys()
    assert [file for file in after if after[file] != before[file]] == [lost]


def test_other_words_than_the_first_are_named_and_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, "--host=localhost", "--development") == 0
    before = (tmp_path / "env").read_bytes()
    (tmp_path / "secrets" / "health_request_key").unlink()
    assert init(tmp_path, *PRODUCTION) == 1
    said = capsys.readouterr().err
    assert "GANSU_HOST=localhost, and gansu.example:8443 is asked for" in said
    assert "GANSU_ENV=development, and production is asked for" in said
    assert "GANSU_HTTPS_PORT is not there, and 8443 is asked for" in said
    assert str(tmp_path / "env") in said
    assert "GANSU_KEYS_BUCKET" not in said
    assert (tmp_path / "env").read_bytes() == before
    assert not (tmp_path / "secrets" / "health_request_key").exists()


def test_what_somebody_has_edited_may_be_said_in_the_same_words(tmp_path: Path) -> None:
    assert init(tmp_path) == 0
    with (tmp_path / "env").open("a") as env:
        env.write("# our own\nGANSU_WORKERS=4\nGANSU_NOTICES_URL='https://other.example'\n")
    host, _, verifier = PRODUCTION
    assert init(tmp_path, host, "--notices-url=https://other.example", verifier) == 0


def test_what_is_to_be_typed_can_be_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "a folder") == 0
    [line] = [each for each in capsys.readouterr().out.splitlines() if each.startswith("Then: ")]
    words = shlex.split(line.removeprefix("Then: "))
    assert words[:4] == ["docker", "compose", "--env-file", f"{tmp_path / 'a folder'}/env"]


def test_an_installation_of_one_credential_gets_what_it_lacks(tmp_path: Path) -> None:
    assert init(tmp_path) == 0
    for program in programs():
        for half in ("access", "secret"):
            (tmp_path / "secrets" / f"{program}_store_{half}_key").unlink()
    operator = (tmp_path / "secrets" / "store_secret_key").read_text()
    written = (tmp_path / "env").read_text().splitlines(keepends=True)
    env = "".join(line for line in written if "BUCKET" not in line)
    (tmp_path / "env").write_text(env)
    assert init(tmp_path) == 0
    assert (tmp_path / "secrets" / "store_secret_key").read_text() == operator
    assert len(users_in(tmp_path / "secrets")) == len(programs())
    # Its keys and pictures stay where they are, until somebody moves them.
    assert (tmp_path / "env").read_text() == env


def test_the_store_is_told_of_every_program_as_its_policies_call_it(tmp_path: Path) -> None:
    init(tmp_path)
    users = users_in(tmp_path / "secrets")
    assert set(users) == {user_of(program) for program in programs()}
    assert len(set(users.values())) == len(users)
    assert SEAWEEDFS.principal is not None
    assert SEAWEEDFS.principal.endswith("/" + user_of("{program}"))


@pytest.mark.parametrize("text", ["", "\n", None])
def test_half_a_credential_is_none(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "commerce_store_access_key").write_text("gansu-commerce")
    if text is not None:
        (tmp_path / "commerce_store_secret_key").write_text(text)
    with pytest.raises((OSError, ValueError), match="commerce_store_secret_key"):
        users_in(tmp_path)


def test_one_key_has_one_secret(tmp_path: Path) -> None:
    for program in ("commerce", "health"):
        (tmp_path / f"{program}_store_access_key").write_text("both")
        (tmp_path / f"{program}_store_secret_key").write_text("secret")
    assert users_in(tmp_path) == {"both": "secret"}
    (tmp_path / "health_store_secret_key").write_text("another")
    with pytest.raises(ValueError, match="another secret"):
        users_in(tmp_path)


def test_it_says_what_others_have_to_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path)
    said = capsys.readouterr().out
    for name in ("tls/certificate.pem", "tls/key.pem", *(f"secrets/{name}" for name in GIVEN)):
        assert f"to be put there: {tmp_path / name}" in said


def test_production_needs_to_know_whom_to_ask(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        init(tmp_path, "--host=gansu.example")
    assert not (tmp_path / "env").exists()


# What Compose makes of it


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installation")
    init(folder)
    for name in GIVEN:
        (folder / "secrets" / name).chmod(0o644)
        (folder / "secrets" / name).write_text(f"what {name} is".replace(" ", "-"))
    return folder


@pytest.fixture(scope="module")
def services(installation: Path) -> dict[str, Any]:
    """All services of compose.yaml, those of profiles too. Asks no daemon."""
    profiles = ("--profile=samples", "--profile=observability")
    done = subprocess.run(
        [
            Path(sys.prefix) / "bin" / "docker-compose",
            f"--env-file={installation / 'env'}",
            *profiles,
            "config",
            "--format=json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)["services"]
    return read


def secrets_of(service: dict[str, Any]) -> set[str]:
    return {secret["source"] for secret in service.get("secrets", [])}


def environment_of(service: dict[str, Any], installation: Path) -> dict[str, str]:
    """What a container is told, with its secrets where they are on this machine."""
    given = secrets_of(service)
    told = {}
    for name, value in service["environment"].items():
        if str(value).startswith("/run/secrets/"):
            secret = value.removeprefix("/run/secrets/")
            assert secret in given, f"{name} is in no secret of the container"
            told[name] = str(installation / "secrets" / secret)
            given.remove(secret)
        else:
            told[name] = str(value or "")
    assert given == set(), "a container has a secret that it does not read"
    return told


def test_every_program_is_told_what_it_needs(services: dict[str, Any], installation: Path) -> None:
    keys = set()
    for service in SERVICES:
        told = environment_of(services[service], installation)
        kind = IdentitySettings if service == "identity" else Settings
        read = kind.from_environ(told)
        assert (read.environment, told["SERVICE"]) == ("production", service)
        assert read.issuer == "https://gansu.example:8443/identity"
        keys |= {read.subject_key, read.request_key}
        notifier = environment_of(services[database_of(service)], installation)
        notices = IdentityNotifierSettings if service == "identity" else NotifierSettings
        assert notices.from_environ(notifier).notices_url == "https://sms.example"
        about = (told["SERVICE"], notifier["SERVICE"], notifier["PROCESS"])
        assert about == (service, service, "notify")
    assert len(keys) == 2 * len(SERVICES)
    gateway = environment_of(services["gateway"], installation)
    assert GatewaySettings.from_environ(gateway).host == "gansu.example:8443"
    assert ObservationSettings.from_environ(gateway).metrics_bind == "0.0.0.0:9464"


def test_each_program_has_its_own_credential_and_the_operator_s_is_for_two(
    services: dict[str, Any], installation: Path
) -> None:
    own = {*programs()} - {AUDITOR}
    seen = {}
    for name in (*own, "trail"):
        settings = StoreSettings.from_environ(environment_of(services[name], installation))
        program = AUDITOR if name == "trail" else name
        assert settings.store_access_key == user_of(program)
        assert settings.keys_bucket == "gansu-keys"
        assert (settings.media_bucket, settings.audit_bucket) == ("gansu-media", "gansu-audit")
        seen[name] = settings.store_secret_key
    assert len(set(seen.values())) == len(programs())
    operators = {name for name, each in services.items() if secrets_of(each) & {"store_secret_key"}}
    assert operators == {"store", "provision"}
    provision = StoreSettings.from_environ(environment_of(services["provision"], installation))
    assert provision.store_access_key == "gansu"
    assert services["provision"]["command"][2:] == [
        *("infra.provision", "--store", "seaweedfs", "--policies"),
    ]
    store = services["store"]
    assert f"--users={Path('/run/secrets')}" in store["command"]
    pairs = {
        f"{program}_store_{half}_key" for program in programs() for half in ("access", "secret")
    }
    assert secrets_of(store) == pairs | {"store_access_key", "store_secret_key"}


def test_prometheus_asks_whoever_tells_measures(services: dict[str, Any]) -> None:
    tells = {name for name, each in services.items() if "GANSU_METRICS_BIND" in told_to(each)}
    tells = {name for name in tells if not name.startswith("samples-")}
    asked = yaml.safe_load((ROOT / "infra/observability/prometheus.yml").read_text("utf-8"))
    [platform, _] = asked["scrape_configs"]
    [found] = platform["dns_sd_configs"]
    assert set(found["names"]) == tells == {*SERVICES, *map(database_of, SERVICES), "gateway"}
    ports = {told_to(services[name])["GANSU_METRICS_BIND"] for name in tells}
    assert ports == {f"0.0.0.0:{found['port']}"}
    # The label `service` is the program's own word, not Prometheus's.
    assert platform["honor_labels"] is True
    prometheus = services["prometheus"]["networks"]
    assert all(set(prometheus) & set(services[name]["networks"]) for name in tells)


def told_to(service: dict[str, Any]) -> dict[str, str]:
    told: dict[str, str] = service.get("environment") or {}
    return told


def test_what_is_told_and_not_read_is_nothing(services: dict[str, Any]) -> None:
    groups = (IdentitySettings, NotifierSettings, IdentityNotifierSettings)
    own = {each.metadata["name"] for group in groups for each in fields(group)}
    observation = {each.metadata["name"] for each in fields(ObservationSettings)}
    gateway = {each.metadata["name"] for each in fields(GatewaySettings)} | observation
    containers = {each.metadata["name"] for each in fields(ContainerSettings)}
    for name in (*SERVICES, *map(database_of, SERVICES), "provision", "trail", "gateway"):
        read = gateway if name == "gateway" else own | observation | containers
        told = {each.removesuffix("_FILE") for each in told_to(services[name])}
        assert told - {"GUNICORN_CMD_ARGS"} <= read, name
    for notifier in map(database_of, SERVICES):
        traces = {name for name in observation if name.startswith("GANSU_TRACES")}
        assert not traces & told_to(services[notifier]).keys()


def test_samples_are_planted_with_the_keys_of_their_service(
    services: dict[str, Any], installation: Path
) -> None:
    for service in SERVICES:
        own = environment_of(services[service], installation)
        planted = environment_of(services[f"samples-{service}"], installation)
        assert planted["GANSU_SUBJECT_KEY_FILE"] == own["GANSU_SUBJECT_KEY_FILE"]
        kind = IdentitySettings if service == "identity" else Settings
        kind.from_environ({**planted, "GANSU_ENV": "development"})


def test_each_service_runs_twice_within_bounds(services: dict[str, Any]) -> None:
    for service in SERVICES:
        assert services[service]["deploy"]["replicas"] == 2
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if not name.startswith(("samples-", "provision")):
            limits = service["deploy"]["resources"]["limits"]
            assert limits.keys() >= {"memory", "pids"}, name


def test_only_the_gateway_is_reached_from_outside(services: dict[str, Any]) -> None:
    published = {name for name, service in services.items() if service.get("ports")}
    assert published == {"gateway", "grafana"}
    assert {port["host_ip"] for port in services["grafana"]["ports"]} == {"127.0.0.1"}
    edge = {name for name, service in services.items() if "edge" in service["networks"]}
    assert edge == published
    outside = {name for name, service in services.items() if "outside" in service["networks"]}
    assert outside == {"identity", *map(database_of, SERVICES)}


def test_the_manual_names_every_variable() -> None:
    manual = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{(GANSU_[A-Z0-9_]+)", COMPOSE_FILE.read_text(encoding="utf-8")))
    from_init = {"GANSU_DIRECTORY", "GANSU_NOTICES"}
    for name in read - from_init:
        short = re.sub("^GANSU_STORE", "", name)
        assert f"`{name}`" in manual or f"`{short}`" in manual, name
