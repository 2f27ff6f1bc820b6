"""Who reaches whom: what is needed does, and nothing else."""

import pytest

from infra.services import SERVICES
from tests.chart.conftest import EVERYTHING, Release, laid, values_of
from tests.support.helm import NAMESPACE, Helm
from tests.support.reach import Network, Place

STORE = Place(address="203.0.113.7")
METADATA = Place(address="169.254.169.254")
CLIENT = Place(address="198.51.100.9")
DNS = Place("kube-system", {"k8s-app": "kube-dns"})
PROMETHEUS = Place("monitoring", {"app": "prometheus"})
STRANGER = Place("default", {"app": "anything"})
NEIGHBOUR = Place(NAMESPACE, {"app": "not-ours"})
INGRESS = Place("kourier-system", {"app": "3scale-kourier-gateway"})
INSIDE = Place("infra", {"gateway": "inside"})


class Cluster:
    """A release, and the pods that it has."""

    def __init__(self, release: Release) -> None:
        self._network = Network(release.of("NetworkPolicy"))
        self.pods = {
            each["metadata"]["name"].removeprefix("gansu-"): Place(
                NAMESPACE, each["spec"]["template"]["metadata"]["labels"]
            )
            for each in release.workloads()
        }

    def lets(
        self, source: str | Place, target: str | Place, port: int, protocol: str = "TCP"
    ) -> bool:
        return self._network.lets(self._place(source), self._place(target), port, protocol)

    def _place(self, of: str | Place) -> Place:
        return self.pods[of] if isinstance(of, str) else of


@pytest.fixture
def cluster(release: Release) -> Cluster:
    return Cluster(release)


@pytest.fixture(scope="module")
def deployed(helm: Helm) -> Cluster:
    return Cluster(Release("production", helm.render(laid(values_of("production"), EVERYTHING))))


@pytest.fixture(scope="module")
def serverless(helm: Helm) -> Cluster:
    return Cluster(Release("knative", helm.render(laid(values_of("knative"), EVERYTHING))))


def test_clients_reach_the_gateway_and_nothing_else(cluster: Cluster) -> None:
    for name in cluster.pods:
        for port in (8000, 8080, 8443, 9464):
            assert cluster.lets(CLIENT, name, port) == (
                name == "gateway" and port in (8080, 8443)
            ), name


def test_every_pod_finds_names(cluster: Cluster) -> None:
    for name in cluster.pods:
        assert cluster.lets(name, DNS, 53, "UDP")
        assert cluster.lets(name, DNS, 53)
        assert not cluster.lets(name, DNS, 443)


def test_the_store_is_reached_by_those_who_keep_something_there(cluster: Cluster) -> None:
    for name in cluster.pods:
        assert cluster.lets(name, STORE, 443) == (name != "gateway"), name


def test_nobody_reaches_the_machines_credentials(cluster: Cluster) -> None:
    for name in cluster.pods:
        for port in (80, 443):
            assert not cluster.lets(name, METADATA, port), name


def test_measures_are_for_the_monitoring_namespace(cluster: Cluster) -> None:
    for name in cluster.pods:
        assert cluster.lets(PROMETHEUS, name, 9464)
        for other in (STRANGER, NEIGHBOUR, "gateway", CLIENT):
            assert not cluster.lets(other, name, 9464), name


def test_strangers_in_the_cluster_reach_no_service(cluster: Cluster) -> None:
    for name in cluster.pods:
        if name != "gateway":
            for other in (STRANGER, NEIGHBOUR, PROMETHEUS):
                assert not cluster.lets(other, name, 8000), name


def test_the_gateway_reaches_every_service(deployed: Cluster) -> None:
    for name in SERVICES:
        assert deployed.lets("gateway", name, 8000)
        assert not deployed.lets("gateway", name, 9464)
        assert not deployed.lets("gateway", f"{name}-notices", 8000)


def test_services_reach_identity_and_no_other_service(deployed: Cluster) -> None:
    for source in SERVICES:
        for target in SERVICES:
            assert deployed.lets(source, target, 8000) == (target == "identity"), (source, target)
        assert not deployed.lets(source, "gateway", 8080)


def test_notifiers_reach_no_service(deployed: Cluster) -> None:
    for source in SERVICES:
        for target in (*SERVICES, "gateway"):
            for port in (8000, 8080, 8443):
                assert not deployed.lets(f"{source}-notices", target, port)


def test_the_sms_gateway_is_for_notifiers_and_the_verifier_for_identity(helm: Helm) -> None:
    elsewhere = {"networkPolicy": {"store": {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}],
                                             "port": 8333},
                                   "outside": {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
                                               "port": 443}}}  # fmt: skip
    values = laid(values_of("production"), elsewhere)
    cluster = Cluster(Release("production", helm.render(values)))
    sms = Place(address="192.0.2.20")
    for name in cluster.pods:
        tells = name == "identity" or name.endswith("-notices")
        assert cluster.lets(name, sms, 443) == tells, name
        assert cluster.lets(name, STORE, 8333) == (name != "gateway"), name
        assert not cluster.lets(name, STORE, 443)


def test_knative_sends_requests_and_nobody_else_does(serverless: Cluster) -> None:
    for name in SERVICES:
        assert serverless.lets(INGRESS, name, 8012)
        assert serverless.lets(Place("knative-serving", {"app": "activator"}), name, 8012)
        assert not serverless.lets(STRANGER, name, 8012)
        assert not serverless.lets("gateway", name, 8012)
        assert serverless.lets(name, INGRESS, 8081)
    assert serverless.lets("gateway", INSIDE, 80)
    assert not serverless.lets("gateway", INGRESS, 8081)


def test_traces_are_sent_where_they_are_collected(deployed: Cluster, helm: Helm) -> None:
    assert deployed.lets("commerce", PROMETHEUS, 4318)
    without = Cluster(Release("small", helm.render(values_of("small"))))
    assert not without.lets("commerce", PROMETHEUS, 4318)


def test_without_the_policies_all_of_that_would_be_open(helm: Helm) -> None:
    values = laid(values_of("small"), {"networkPolicy": {"enabled": False}})
    cluster = Cluster(Release("small", helm.render(values)))
    assert cluster.lets("tourism", "commerce", 8000)
    assert cluster.lets(CLIENT, "commerce", 8000)
