"""What containers are told is what programs read: every variable is one, and nothing is missing."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest

from infra.services import SERVICES
from shared.settings import (
    IdentityNotifierSettings,
    IdentitySettings,
    NotifierSettings,
    ObservationSettings,
    Settings,
    SettingsError,
    StoreSettings,
)
from tests.chart.conftest import CHART, EVERYTHING, Release, laid, values_of
from tests.chart.test_security import KNOWN
from tests.support.helm import Helm

ROOT = CHART.parents[1]
Json = Mapping[str, Any]
Environment = dict[str, str]

# Read by the image's own first program and by the gateway's.
OF_CONTAINERS = {"SERVICE", "PROCESS", "PORT"}
OF_THE_GATEWAY = {
    "GANSU_GATEWAY_HOST",
    "GANSU_GATEWAY_SERVICES",
    "GANSU_GATEWAY_WORKERS",
    "GANSU_GATEWAY_CERTIFICATE",
    "GANSU_GATEWAY_KEY",
}
OF_OBSERVATION = {each.metadata["name"] for each in fields(ObservationSettings)}
SECRET = "made-up:" + "5b" * 32
"""Long enough for a key, and in the form of a list of keys."""


def environment(release: Release, container: Json) -> Environment:
    """What the process would find: the ConfigMap below what is its own."""
    found: Environment = {}
    (shared,) = [
        each for each in release.of("ConfigMap") if each["metadata"]["name"] == "gansu-settings"
    ]
    for each in container.get("envFrom", ()):
        assert each == {"configMapRef": {"name": "gansu-settings"}}
        found |= shared["data"]
    for each in container["env"]:
        if "value" in each:
            found[each["name"]] = each["value"]
        elif "secretKeyRef" in each["valueFrom"]:
            found[each["name"]] = SECRET.removeprefix("made-up:") if "KEYS" not in each["name"] \
                else SECRET  # fmt: skip
        else:
            assert each["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
            found[each["name"]] = "gansu-commerce-5d4f8c7b9-abcde"
    return found


def program_of(name: str) -> type[StoreSettings]:
    """The settings that a workload's program reads."""
    rest = name.removeprefix("gansu-")
    if rest in ("provision", "trail"):
        return StoreSettings
    notifies = rest.endswith("-notices")
    if rest.startswith("identity"):
        return IdentityNotifierSettings if notifies else IdentitySettings
    return NotifierSettings if notifies else Settings


def test_every_program_takes_what_it_is_told(release: Release) -> None:
    for name, container, _ in release.containers():
        if name != "gansu-gateway":
            told = program_of(name).from_environ(environment(release, container))
            assert told.environment == "production"


def test_every_variable_is_one_that_is_read(release: Release) -> None:
    known = set(KNOWN) | OF_CONTAINERS | OF_OBSERVATION
    for name, container, _ in release.containers():
        mine = {"GANSU_ENV"} | OF_OBSERVATION | OF_THE_GATEWAY if "gateway" in name else known
        assert set(environment(release, container)) <= mine, name


def test_the_gateway_is_told_where_everything_is(release: Release) -> None:
    (gateway,) = [each for name, each, _ in release.containers() if name == "gansu-gateway"]
    told = environment(release, gateway)
    places = dict(each.split("=") for each in told["GANSU_GATEWAY_SERVICES"].split(","))
    assert list(places) == list(SERVICES)
    assert told["GANSU_GATEWAY_HOST"] == "gansu.example"
    files = {told.get("GANSU_GATEWAY_CERTIFICATE"), told.get("GANSU_GATEWAY_KEY")}
    mounted = {each["mountPath"] for each in gateway["volumeMounts"]}
    if files != {None}:
        assert files == {"/etc/gateway/tls/tls.crt", "/etc/gateway/tls/tls.key"}
        assert "/etc/gateway/tls" in mounted
    if release.name != "knative":
        hosts = {
            f"{each['metadata']['name']}.{each['metadata']['namespace']}.svc.cluster.local:8000"
            for each in release.of("Service")
            if each["spec"].get("clusterIP") == "None"
        }
        assert set(places.values()) == hosts


def test_every_program_of_the_store_knows_its_buckets(release: Release, helm: Helm) -> None:
    everything = Release(release.name, helm.render(laid(values_of(release.name), EVERYTHING)))
    for name, container, _ in everything.containers():
        if name != "gansu-gateway":
            told = program_of(name).from_environ(environment(everything, container))
            buckets = (told.store_bucket, told.keys_bucket, told.media_bucket, told.audit_bucket)
            assert buckets == ("gansu-state", "gansu-keys", "gansu-media", "gansu-audit"), name


def test_what_containers_are_told_to_run_is_there(release: Release) -> None:
    for name, container, _ in release.containers():
        if "command" not in container:
            continue
        assert "smart-gansu-tools:" in container["image"], name
        *python, module = container["command"]
        assert python == ["python", "-m"]
        asked = [sys.executable, "-m", module, "--help"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        options = [each for each in container.get("args", ()) if each.startswith("--")]
        assert all(option in told for option in options), name


def test_each_service_and_notifier_is_told_which_it_is(release: Release) -> None:
    told = {
        name: (each["SERVICE"], each["PROCESS"])
        for name, container, _ in release.containers()
        if "SERVICE" in (each := environment(release, container))
    }
    assert told == {
        **{f"gansu-{name}": (name, "web") for name in SERVICES},
        **{f"gansu-{name}-notices": (name, "notify") for name in SERVICES},
    }


def test_identitys_keys_are_found_where_identity_is(release: Release) -> None:
    for name, container, _ in release.containers():
        told = environment(release, container)
        if told.get("PROCESS") == "web":
            assert told["GANSU_ISSUER"] == "https://gansu.example/identity"
            host = re.fullmatch(
                r"http://([a-z.-]+?)(:8000)?/identity/\.well-known/jwks\.json", told["GANSU_JWKS"]
            )
            assert host, name
            assert host[1].startswith("gansu-identity.smart-gansu.svc")
            assert (host[2] is None) == (release.name == "knative")


def test_knative_sets_the_port_and_nobody_else_does(release: Release) -> None:
    for each in release.of("serving.knative.dev/Service"):
        (container,) = each["spec"]["template"]["spec"]["containers"]
        assert "PORT" not in environment(release, container)
        assert container["ports"] == [{"name": "http1", "containerPort": 8000}]


def test_the_chart_knows_the_services_that_there_are() -> None:
    helpers = (CHART / "templates/_helpers.tpl").read_text(encoding="utf-8")
    assert f'{{{{- define "gansu.services" -}}}}{" ".join(SERVICES)}{{{{- end -}}}}' in helpers


def test_the_manual_says_which_keys_each_secret_has(helm: Helm) -> None:
    values = laid(values_of("production"), {"store": {"auditBucket": "gansu-audit"}})
    release = Release("production", helm.render(values))
    manual = (CHART.parents[1] / "docs/kubernetes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^ *\| (`smart-gansu-[^|]+) \| ([^|]+) \|$", manual, flags=re.MULTILINE)
    told = {
        secret: set(re.findall(r"GANSU_\w+", keys))
        for secrets, keys in rows
        for secret in re.findall(r"smart-gansu-[a-z-]+", secrets)
    }
    used: dict[str, set[str]] = {}
    for _, container, _ in release.containers():
        for each in container["env"]:
            reference = each.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                used.setdefault(reference["name"], set()).add(reference["key"])
    assert told == used


@pytest.mark.parametrize("missing", ["GANSU_SUBJECT_KEY", "GANSU_STORE_BUCKET", "GANSU_ISSUER"])
def test_what_is_missing_would_be_found(release: Release, missing: str) -> None:
    (commerce,) = [each for name, each, _ in release.containers() if name == "gansu-commerce"]
    told = environment(release, commerce)
    del told[missing]
    with pytest.raises(SettingsError, match=missing):
        Settings.from_environ(told)
