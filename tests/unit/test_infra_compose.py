"""What `init` makes, and that compose.yaml tells every program what it needs, and no more."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.compose.__main__ import COMPOSE_FILE, GIVEN, main
from infra.services import SERVICES
from shared.clock import SystemClock
from shared.notices.outbox import database_of
from shared.settings import (
    IdentityNotifierSettings,
    IdentitySettings,
    NotifierSettings,
    Settings,
    StoreSettings,
)
from shared.settings_of_containers import GatewaySettings

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
    made = [text for name, text in secrets.items() if name not in {*GIVEN, "store_access_key"}]
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
    assert init(tmp_path, "--host=other.example", "--development") == 0
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert after.keys() == before.keys()
    assert [file for file in after if after[file] != before[file]] == [lost]


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


def environment_of(service: dict[str, Any], installation: Path) -> dict[str, str]:
    """What a container is told, with its secrets where they are on this machine."""
    given = {secret["source"] for secret in service.get("secrets", [])}
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
    assert len(keys) == 2 * len(SERVICES)
    for name in ("store", "provision"):
        StoreSettings.from_environ(environment_of(services[name], installation))
    gateway = GatewaySettings.from_environ(environment_of(services["gateway"], installation))
    assert gateway.host == "gansu.example:8443"


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
