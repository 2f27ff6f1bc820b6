"""Wrong values are refused, in words that name them."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chart.conftest import EVERYTHING, SITE, laid, values_of
from tests.support.helm import Helm

Json = Mapping[str, Any]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mode": "serverless"}, "/mode"),
        ({"mod": "knative"}, "'mod'"),
        ({"host": "https://gansu.example"}, "/host"),
        ({"host": "gansu.example:8443"}, "/host"),
        ({"image": {"tag": "latest"}}, "/image/tag"),
        ({"image": {"registry": "registry.example/gansu"}}, "/image/registry"),
        ({"store": {"bucket": "Gansu_State"}}, "/store/bucket"),
        ({"store": {"endpoint": "store.example"}}, "/store/endpoint"),
        ({"store": {"prefix": "gansu"}}, "/store/prefix"),
        ({"store": {"accessKey": "AKIA"}}, "accessKey"),
        ({"settings": {"GANSU_TOKEN_KEY": "x" * 32}}, "GANSU_TOKEN_KEY"),
        ({"services": {"commerce": {"settings": {"GANSU_STORE_SECRET_KEY": "x"}}}},
         "GANSU_STORE_SECRET_KEY"),
        ({"services": {"commerce": {"settings": {"orders": 3}}}}, "orders"),
        ({"services": {"commerce": {"replicas": 0}}}, "/services/commerce/replicas"),
        ({"services": {"commerce": {"replicas": 64}}}, "/services/commerce/replicas"),
        ({"services": {"education": {"secret": "a", "notifier": {"secret": "b"}}}}, "education"),
        ({"services": {"commerce": {"resources": {"limits": {"memory": "much"}}}}},
         "/services/commerce/resources"),
        ({"defaults": {"replicaDisk": {"medium": "HugePages"}}}, "/defaults/replicaDisk/medium"),
        ({"gateway": {"service": {"type": "ExternalName"}}}, "/gateway/service/type"),
        ({"networkPolicy": {"store": {"to": [], "port": 443}}}, "/networkPolicy/store/to"),
        ({"networkPolicy": {"store": {"port": 0}}}, "/networkPolicy/store/port"),
        ({"knative": {"timeoutSeconds": 5}}, "/knative/timeoutSeconds"),
        ({"monitoring": {"traces": {"endpoint": "tempo:4318"}}}, "/monitoring/traces/endpoint"),
        # What no schema can say, or cannot say clearly.
        ({"host": ""}, "host: where clients find the platform"),
        ({"store": {"bucket": ""}}, "store.bucket: the bucket of the journals"),
        ({"identity": {"verifierUrl": ""}}, "identity.verifierUrl: the authority"),
        ({"notices": {"url": ""}}, "notices.url: where the SMS gateway takes messages"),
        ({"gateway": {"autoscaling": {"min": 5, "max": 3}}}, "min 5 is above max 3"),
        ({"services": {"health": {"autoscaling": {"min": 5, "max": 3}}}},
         "services.health.autoscaling: min 5 is above max 3"),
        ({"mode": "knative"}, "knative.gateway.name: a Gateway inside the cluster"),
        ({"mode": "knative", "knative": {"gateway": {"name": "inside"}}},
         "knative.gateway.address: host:port"),
        ({"routes": {"enabled": True}}, "gatewayClassName"),
        ({"routes": {"enabled": True, "gatewayClassName": "cilium"}}, "routes.certificateSecret"),
        ({"routes": {"enabled": True, "parent": {"name": "public"}},
          "gateway": {"tlsSecret": "tls"}}, "sends plain HTTP on to HTTPS for ever"),
        ({"routes": {"enabled": True, "parent": {"name": "public"}, "backendTls": {
            "enabled": True}}}, "name gateway.tlsSecret"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_name(helm: Helm, change: Json, said: str) -> None:
    assert said in helm.refusal(laid(values_of("small"), change))


def test_what_is_right_is_taken(helm: Helm) -> None:
    assert helm.refusal(laid(values_of("small"), EVERYTHING)) == ""
    assert helm.refusal(SITE) == ""


def test_a_clouds_roles_stand_in_for_keys_of_the_store(helm: Helm) -> None:
    role = {"cloud.example/role": "gansu-commerce"}
    values = laid(
        values_of("small"),
        {
            "store": {"credentials": "workload"},
            "services": {"commerce": {"serviceAccountAnnotations": role}},
        },
    )
    objects = helm.render(values)
    (account,) = [
        each
        for each in objects
        if each["kind"] == "ServiceAccount" and each["metadata"]["name"] == "gansu-commerce"
    ]
    assert account["metadata"]["annotations"] == role
    assert not [each for each in objects if "GANSU_STORE_ACCESS_KEY" in str(each)]


def test_a_notifier_can_be_left_out(helm: Helm) -> None:
    values = laid(values_of("small"), {"services": {"health": {"notifier": {"enabled": False}}}})
    names = {each["metadata"]["name"] for each in helm.render(values)}
    assert "gansu-health-notices" not in names
    assert "gansu-tourism-notices" in names
