"""No secret is in the chart, and every pod passes the Pod Security Standard `restricted`."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest
import yaml

from shared.settings import IdentityNotifierSettings, IdentitySettings, NotifierSettings
from tests.chart.conftest import CHART, Release

Json = Mapping[str, Any]

KNOWN = {
    each.metadata["name"]: each.metadata
    for group in (IdentitySettings, NotifierSettings, IdentityNotifierSettings)
    for each in fields(group)
}
SECRETS = {name for name, about in KNOWN.items() if about["secret"]}


def unrestricted(pod: Json, container: Json) -> list[str]:
    """What `restricted` does not allow (Kubernetes 1.31), of a pod and one of its containers."""
    own, whole = container.get("securityContext", {}), pod.get("securityContext", {})
    seccomp = own.get("seccompProfile", whole.get("seccompProfile", {})).get("type")
    capabilities = own.get("capabilities", {})
    volumes = {kind for each in pod.get("volumes", ()) for kind in each if kind != "name"}
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "projected", "secret",
               "persistentVolumeClaim"}  # fmt: skip
    wrong = {
        "host namespaces": any(pod.get(each) for each in ("hostNetwork", "hostPID", "hostIPC")),
        "privileged": bool(own.get("privileged")),
        "capabilities": capabilities.get("drop") != ["ALL"]
        or not set(capabilities.get("add", ())) <= {"NET_BIND_SERVICE"},
        "volumes": not volumes <= allowed,
        "host ports": any("hostPort" in each for each in container.get("ports", ())),
        "privilege escalation": own.get("allowPrivilegeEscalation") is not False,
        "root": own.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True
        or 0 in (own.get("runAsUser"), whole.get("runAsUser")),
        "seccomp": seccomp not in ("RuntimeDefault", "Localhost"),
        "sysctls": "sysctls" in whole,
        "procMount": own.get("procMount", "Default") != "Default",
    }
    return [name for name, is_so in wrong.items() if is_so]


def test_every_container_is_restricted(release: Release) -> None:
    for name, container, pod in release.containers():
        assert unrestricted(pod, container) == [], name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert "initContainers" not in pod


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"allowPrivilegeEscalation": True}, "privilege escalation"),
        ({"capabilities": {"drop": ["NET_RAW"]}}, "capabilities"),
        ({"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, "capabilities"),
        ({"runAsUser": 0}, "root"),
        ({"runAsNonRoot": False}, "root"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccomp"),
        ({"privileged": True}, "privileged"),
    ],
)
def test_what_is_not_restricted_is_found(release: Release, change: Json, found: str) -> None:
    _, container, pod = release.containers()[0]
    worse = {**container, "securityContext": {**container["securityContext"], **change}}
    assert found in unrestricted(pod, worse)


def test_the_chart_holds_no_secret(release: Release) -> None:
    assert release.of("Secret") == []
    for each in release.of("ConfigMap"):
        assert not SECRETS & set(each["data"])
    for name, container, _ in release.containers():
        for variable in container["env"]:
            secret = variable.get("valueFrom", {}).get("secretKeyRef")
            assert (variable["name"] in SECRETS) == (secret is not None), (name, variable)
            if secret:
                assert secret["key"] == variable["name"]
                assert not secret.get("optional")
    published = [each["development"] for each in KNOWN.values() if each["secret"]]
    text = json.dumps(release.objects)
    assert not [value for value in published if value and f'"{value}"' in text]


def test_no_two_programs_have_one_secret(release: Release) -> None:
    used = Counter(
        secret
        for _, container, _ in release.containers()
        for secret in {
            each["valueFrom"]["secretKeyRef"]["name"]
            for each in container["env"]
            if "secretKeyRef" in each.get("valueFrom", {})
        }
    )
    assert set(used.values()) == {1}
    accounts = [pod["serviceAccountName"] for _, _, pod in release.containers()]
    assert len(set(accounts)) == len(accounts)
    made = {each["metadata"]["name"] for each in release.of("ServiceAccount")}
    assert made == set(accounts)
    assert all(
        each["automountServiceAccountToken"] is False for each in release.of("ServiceAccount")
    )


def test_the_sealing_key_is_for_identity_and_its_notifier_alone(release: Release) -> None:
    has = {
        name
        for name, container, _ in release.containers()
        if "GANSU_SEALING_KEY" in {each["name"] for each in container["env"]}
    }
    assert has == {"gansu-identity", "gansu-identity-notices"}


def test_no_value_of_the_chart_is_named_like_a_secret() -> None:
    for path in CHART.glob("values*.yaml"):
        text = json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")))
        assert not [name for name in SECRETS if name in text], path
