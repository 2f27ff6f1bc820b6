"""Every object is one that a cluster takes, by Kubernetes' own schemas and by those of the rest."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.chart.conftest import EVERYTHING, SETS, Release, kind_of, laid, values_of
from tests.support.helm import Helm

OLDEST, NEWEST = "1.31", "1.37"
CUSTOM = yaml.safe_load((Path(__file__).parent / "custom_objects.yaml").read_text("utf-8"))

Json = Mapping[str, Any]


def check(each: Json, version: str) -> None:
    """Raises for an object that a cluster of this version would refuse."""
    own = f"{each['apiVersion']}/{each['kind']}"
    if own in CUSTOM:
        schema = {**CUSTOM[own], "$defs": CUSTOM["$defs"]}
        jsonschema.Draft202012Validator(schema).validate(each)
    else:
        kubernetes_validate.validate(each, version, strict=True)


def as_pod(service: Json) -> Json:
    """What Knative would run, as a pod: its containers and volumes, without what is Knative's."""
    template = service["spec"]["template"]
    known = ("containers", "volumes", "serviceAccountName", "imagePullSecrets")
    pod = {key: deepcopy(value) for key, value in template["spec"].items() if key in known}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "as-run"}, "spec": pod}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_is_valid(release: Release, version: str) -> None:
    for each in release.objects:
        check(each, version)
        if kind_of(each) == "serving.knative.dev/Service":
            check(as_pod(each), version)


def test_no_two_objects_are_the_same(release: Release) -> None:
    names = [
        (each["apiVersion"], each["kind"], each["metadata"]["namespace"], each["metadata"]["name"])
        for each in release.objects
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", list(SETS))
def test_helm_has_nothing_to_complain_about(helm: Helm, name: str) -> None:
    assert helm.lint(values_of(name)) == []


def broken(release: Release, kind: str, change: Mapping[str, Any]) -> Json:
    found: dict[str, Any] = dict(release.of(kind)[0])
    return laid(found, change)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Deployment", {"spec": {"replica": 2}}),
        ("Deployment", {"spec": {"replicas": "two"}}),
        ("Deployment", {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}),
        ("NetworkPolicy", {"spec": {"policyType": ["Ingress"]}}),
        ("PodDisruptionBudget", {"spec": {"maxUnavailable": True}}),
        ("HTTPRoute", {"spec": {"parentRefs": [{"gateway": "public"}]}}),
        ("Gateway", {"spec": {"listeners": [{"name": "a", "port": 443, "protocol": "HTTPS"}]}}),
        ("BackendTLSPolicy", {"spec": {"validation": {"wellKnownCACertificates": "System"}}}),
        ("PodMonitor", {"spec": {"podMetricsEndpoints": [{"portNumber": "metrics"}]}}),
        ("PrometheusRule", {"spec": {"groups": [{"name": "a", "rules": [{"alert": "A"}]}]}}),
        ("serving.knative.dev/Service", {"spec": {"template": {"spec": {"affinity": {}}}}}),
        (
            "serving.knative.dev/Service",
            {"spec": {"template": {"spec": {"containers": [
                {"image": "x", "env": [{"name": "PORT", "value": "8000"}]}
            ]}}}},
        ),
    ],
)  # fmt: skip
def test_what_a_cluster_would_refuse_is_found(
    helm: Helm, kind: str, change: Mapping[str, Any]
) -> None:
    name = "knative" if "knative" in kind else "small"
    release = Release(name, helm.render(laid(values_of(name), EVERYTHING)))
    check(release.of(kind)[0], NEWEST)
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(broken(release, kind, change), NEWEST)
