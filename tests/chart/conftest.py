"""The chart as it is installed: three value sets, each with the facts of one made-up place."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import utils  # type: ignore[import-untyped]

from tests.support.helm import Helm

Json = Mapping[str, Any]
CHART = Path(__file__).parents[2] / "infra/chart"

SITE: dict[str, Any] = {
    "host": "gansu.example",
    "store": {"endpoint": "https://store.example", "bucket": "gansu-state"},
    "identity": {"verifierUrl": "https://verifier.example/names"},
    "notices": {"url": "https://sms.example/messages"},
}
INSIDE = {"name": "inside", "namespace": "infra", "address": "inside.infra.svc.cluster.local:80"}
EVERYTHING: dict[str, Any] = {
    "store": {
        "caConfigMap": "store-ca",
        "keysBucket": "gansu-keys",
        "mediaBucket": "gansu-media",
        "auditBucket": "gansu-audit",
    },
    "gateway": {"tlsSecret": "smart-gansu-gateway-tls"},
    "routes": {
        "enabled": True,
        "gatewayClassName": "cilium",
        "certificateSecret": "gansu-example",
        "backendTls": {"enabled": True, "caConfigMap": "gateway-ca"},
    },
    "provision": {"enabled": True, "args": ["--store", "ceph", "--policies"]},
    "monitoring": {
        "podMonitor": {"enabled": True},
        "rules": {"enabled": True},
        "dashboards": {"enabled": True},
        "traces": {"endpoint": "http://tempo.monitoring.svc.cluster.local:4318"},
    },
}
"""All that can be switched on, on top of any set."""

SETS = {
    "small": "values.yaml",
    "production": "values-production.yaml",
    "knative": "values-knative.yaml",
}


def laid(*layers: Json) -> dict[str, Any]:
    """Values over values, as Helm lays files."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = laid(result[key], value) if both else value
    return result


def values_of(name: str) -> dict[str, Any]:
    """A value set with the facts of the place."""
    chosen = yaml.safe_load((CHART / SETS[name]).read_text(encoding="utf-8"))
    return laid(chosen, SITE, {"knative": {"gateway": INSIDE}} if name == "knative" else {})


@dataclass(frozen=True, slots=True)
class Release:
    """What one set renders to."""

    name: str
    objects: Sequence[Json]

    def of(self, *kinds: str) -> list[Json]:
        """The objects of these kinds; Knative's Service is `serving.knative.dev/Service`."""
        return [each for each in self.objects if kind_of(each) in kinds]

    def workloads(self) -> list[Json]:
        """Whatever pods come from; of a CronJob, the Job that it makes."""
        made = [
            {**each, "spec": each["spec"]["jobTemplate"]["spec"]} for each in self.of("CronJob")
        ]
        return [*self.of("Deployment", "Job", "serving.knative.dev/Service"), *made]

    def containers(self) -> list[tuple[str, Json, Json]]:
        """Each container, with its workload's name and its pod."""
        pods = [(each["metadata"]["name"], each["spec"]["template"]["spec"])
                for each in self.workloads()]  # fmt: skip
        return [(name, container, pod) for name, pod in pods for container in pod["containers"]]


def kind_of(each: Json) -> str:
    """A kind; with its group where that is Knative's, which has a Service of its own."""
    group = each["apiVersion"].rpartition("/")[0]
    return f"{group}/{each['kind']}" if group == "serving.knative.dev" else str(each["kind"])


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_read_once() -> Iterator[None]:
    """The library reads 2 MB of definitions anew for every object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
        yield


@pytest.fixture(scope="session")
def helm() -> Iterator[Helm]:
    with Helm(CHART) as started:
        yield started


@pytest.fixture(
    scope="session",
    params=[*SETS, *(f"{name} with everything" for name in SETS)],
)
def release(request: pytest.FixtureRequest, helm: Helm) -> Release:
    name, everything, _ = str(request.param).partition(" with everything")
    values = laid(values_of(name), EVERYTHING if everything else {})
    return Release(name, helm.render(values))
