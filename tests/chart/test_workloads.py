"""Parts of a release fit together: selectors, probes, budgets, scaling, disks, and how pods end."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.services import SERVICES
from shared.notices.outbox import database_of
from tests.chart.conftest import EVERYTHING, Release, laid, values_of
from tests.support.helm import Helm
from tests.support.reach import matches

ROOT = Path(__file__).parents[2]
Json = Mapping[str, Any]
SIZES = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def labels_of(workload: Json) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def selected(release: Release, selector: Json) -> list[str]:
    return [
        each["metadata"]["name"]
        for each in release.workloads()
        if matches(selector, labels_of(each))
    ]


def size(quantity: str) -> int:
    number, unit = re.fullmatch(r"([0-9]+)(|Ki|Mi|Gi)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * SIZES[unit]


def test_every_selector_takes_exactly_the_pods_that_are_meant(release: Release) -> None:
    for each in release.of("Deployment"):
        assert selected(release, each["spec"]["selector"]) == [each["metadata"]["name"]]
        for spread in each["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert selected(release, spread["labelSelector"]) == [each["metadata"]["name"]]
    for each in release.of("Service"):
        chosen = {"matchLabels": each["spec"]["selector"]}
        assert selected(release, chosen) == [each["metadata"]["name"]]
    for each in release.of("PodDisruptionBudget"):
        assert selected(release, each["spec"]["selector"]) == [each["metadata"]["name"]]
    for each in release.of("PodMonitor"):
        serving = {f"gansu-{name}" for name in SERVICES} | {"gansu-gateway"}
        telling = {f"gansu-{name}" for name in map(database_of, SERVICES)}
        assert set(selected(release, each["spec"]["selector"])) == serving | telling
        assert each["spec"]["jobLabel"] in labels_of(release.workloads()[0])
    for each in release.of("NetworkPolicy"):
        assert selected(release, each["spec"]["podSelector"]), each["metadata"]["name"]


def test_every_service_leads_to_a_port_that_is_there(release: Release) -> None:
    for each in release.of("Service"):
        (workload,) = [
            found
            for found in release.workloads()
            if matches({"matchLabels": each["spec"]["selector"]}, labels_of(found))
        ]
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports
    routed = [
        (ref["name"], ref["port"], ref.get("namespace"))
        for route in release.of("HTTPRoute")
        for rule in route["spec"]["rules"]
        for ref in rule.get("backendRefs", ())
    ]
    ports = {
        (each["metadata"]["name"], port["port"], None)
        for each in release.of("Service")
        for port in each["spec"]["ports"]
    }
    assert {each for each in routed if each[2] is None} <= ports


def test_writes_go_to_one_container_because_the_gateway_sees_them_all(release: Release) -> None:
    headless = {
        each["metadata"]["name"]
        for each in release.of("Service")
        if each["spec"].get("clusterIP") == "None"
    }
    expected = set() if release.name == "knative" else {f"gansu-{name}" for name in SERVICES}
    assert headless == expected


def test_budgets_let_a_machine_be_emptied_and_never_take_the_last_pod(release: Release) -> None:
    budgets = {each["metadata"]["name"] for each in release.of("PodDisruptionBudget")}
    scaled = {each["metadata"]["name"]: each["spec"] for each in release.of(
        "HorizontalPodAutoscaler")}  # fmt: skip
    for each in release.of("Deployment"):
        name = each["metadata"]["name"]
        least = scaled[name]["minReplicas"] if name in scaled else each["spec"]["replicas"]
        assert (name in budgets) == (least > 1), name
    for each in release.of("PodDisruptionBudget"):
        assert each["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in each["spec"]
    if release.name == "production":
        assert budgets == {f"gansu-{name}" for name in (*SERVICES, "gateway")}


def test_scaling_is_bounded_and_alone_in_charge(release: Release) -> None:
    deployments = {each["metadata"]["name"]: each for each in release.of("Deployment")}
    for each in release.of("HorizontalPodAutoscaler"):
        spec = each["spec"]
        target = deployments[spec["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]
        assert 1 <= spec["minReplicas"] <= spec["maxReplicas"] <= 8
        (container,) = target["spec"]["template"]["spec"]["containers"]
        assert "cpu" in container["resources"]["requests"], "a share of what is requested"
    for each in release.of("serving.knative.dev/Service"):
        told = each["spec"]["template"]["metadata"]["annotations"]
        low, high = (int(told[f"autoscaling.knative.dev/{end}-scale"]) for end in ("min", "max"))
        assert 0 <= low <= high <= 4, "max 0 would be without bound"
        aim = int(told["autoscaling.knative.dev/target"])
        assert aim <= each["spec"]["template"]["spec"]["containerConcurrency"]


def test_a_pod_that_ends_has_time_for_what_is_under_way(release: Release) -> None:
    gunicorn = (ROOT / "infra/gunicorn.conf.py").read_text(encoding="utf-8")
    (graceful,) = re.findall(r"^graceful_timeout = (\d+)", gunicorn, flags=re.MULTILINE)
    for each in release.of("Deployment"):
        pod = each["spec"]["template"]["spec"]
        waits = pod["containers"][0].get("lifecycle", {}).get("preStop", {})
        before = waits.get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] >= before + int(graceful) + 10
        if "notices" not in each["metadata"]["name"]:
            assert before >= 5, "or requests come to a pod that has stopped listening"
        assert each["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    for each in release.of("serving.knative.dev/Service"):
        assert each["spec"]["template"]["spec"]["timeoutSeconds"] >= int(graceful) + 5


def test_only_what_a_restart_mends_is_a_reason_for_one(release: Release) -> None:
    for name, container, _ in release.containers():
        if name in ("gansu-provision", "gansu-trail"):
            continue
        service = name.removeprefix("gansu-")
        live = container["livenessProbe"]
        if service.endswith("-notices"):
            assert live["exec"]["command"] == ["python", "-m", "infra.container", "check"]
            continue
        ready = container["readinessProbe"]["httpGet"]["path"]
        assert live["httpGet"]["path"] == f"/{service}/health/live"
        assert ready == f"/{service}/health/{'live' if service == 'gateway' else 'ready'}"
        assert live["failureThreshold"] * live["periodSeconds"] >= 30


def test_disks_and_memory_are_bounded_and_fit(release: Release) -> None:
    for name, container, pod in release.containers():
        limits, requests = container["resources"]["limits"], container["resources"]["requests"]
        assert {"cpu", "memory"} <= set(requests), name
        assert size(requests["memory"]) <= size(limits["memory"])
        dirs = {each["name"]: each["emptyDir"] for each in pod["volumes"] if "emptyDir" in each}
        assert all("sizeLimit" in each for each in dirs.values()), name
        on_disk = sum(
            size(each["sizeLimit"]) for each in dirs.values() if each.get("medium") != "Memory"
        )
        if "ephemeral-storage" in limits:
            assert on_disk <= size(limits["ephemeral-storage"]), name
        mounts = {each["name"] for each in container["volumeMounts"]}
        assert mounts == {each["name"] for each in pod["volumes"]}


def test_provisioning_comes_before_everything_else(release: Release) -> None:
    for each in release.of("Job"):
        hooks = each["metadata"]["annotations"]
        assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade"
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["command"] == ["python", "-m", "infra.provision"]
        # Nothing that is made later can be asked for.
        assert "envFrom" not in container
        (account,) = [
            found
            for found in release.of("ServiceAccount")
            if found["metadata"]["name"] == pod["serviceAccountName"]
        ]
        assert account["metadata"]["annotations"]["helm.sh/hook"] == hooks["helm.sh/hook"]
        weights = [
            int(found["metadata"]["annotations"]["helm.sh/hook-weight"])
            for found in (account, each)
        ]
        assert weights == sorted(weights)


def test_journals_are_copied_where_there_is_a_bucket_for_it(release: Release, helm: Helm) -> None:
    without = Release(release.name, helm.render(values_of(release.name)))
    assert without.of("CronJob") == []
    everything = Release(release.name, helm.render(laid(values_of(release.name), EVERYTHING)))
    [each] = everything.of("CronJob")
    assert each["spec"]["concurrencyPolicy"] == "Forbid"
    job = each["spec"]["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] > 0
    [container] = job["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "infra.trail"]
    secrets = {
        each["valueFrom"]["secretKeyRef"]["name"]
        for each in container["env"]
        if "secretKeyRef" in each.get("valueFrom", {})
    }
    assert secrets == {"smart-gansu-auditor"}


def test_alerts_and_dashboards_are_those_of_the_repository(release: Release) -> None:
    for each in release.of("PrometheusRule"):
        kept = (ROOT / "infra/observability/alerts.yml").read_text(encoding="utf-8")
        assert each["spec"] == yaml.safe_load(kept)
    shown = {
        name: text
        for each in release.of("ConfigMap")
        if "grafana_dashboard" in each["metadata"]["labels"]
        for name, text in each["data"].items()
    }
    if shown:
        folder = ROOT / "infra/observability/grafana/dashboards"
        assert shown == {
            f"gansu-{path.name}": path.read_text(encoding="utf-8") for path in folder.iterdir()
        }


def test_a_changed_setting_rolls_the_pods(release: Release) -> None:
    told = {
        each["spec"]["template"]["metadata"]["annotations"]["gansu/settings"]
        for each in release.workloads()
        if each["kind"] not in ("Job", "CronJob")
    }
    assert len(told) == 1
