"""Who may reach whom, by the NetworkPolicies of a release: what a cluster's network would enforce.

    network = Network(policies)
    network.lets(gateway, commerce, 8000)

By the words of networking.k8s.io/v1: a pod that no policy of a direction selects is open in it; one
that some select is open to what any of them allows; and both ends have to allow it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Json = Mapping[str, Any]
NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Place:
    """A pod, or what is outside of the cluster: that has an address and no namespace."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.0.0.1"


@dataclass(frozen=True, slots=True)
class Network:
    """The policies that are in force."""

    policies: Sequence[Json]

    def lets(self, source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection comes about."""
        return self._open(source, target, port, protocol, "Egress") and self._open(
            target, source, port, protocol, "Ingress"
        )

    def _open(self, pod: Place, peer: Place, port: int, protocol: str, direction: str) -> bool:
        applying = [
            each
            for each in self.policies
            if direction in each["spec"]["policyTypes"] and _is_selected(each, pod)
        ]
        rules = [rule for each in applying for rule in each["spec"].get(direction.lower(), ())]
        key = "from" if direction == "Ingress" else "to"
        return not applying or any(
            _has_peer(rule.get(key), peer, pod.namespace)
            and _has_port(rule.get("ports"), port, protocol)
            for rule in rules
        )


def matches(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a label selector (meta/v1) takes these labels."""
    wanted = selector.get("matchLabels", {})
    expressions = selector.get("matchExpressions", ())
    assert all(each["operator"] == "In" for each in expressions), "written with In alone"
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def _is_selected(policy: Json, pod: Place) -> bool:
    here: bool = policy["metadata"]["namespace"] == pod.namespace
    return here and matches(policy["spec"]["podSelector"], pod.labels)


def _has_peer(peers: Iterable[Json] | None, peer: Place, own_namespace: str) -> bool:
    return not peers or any(_is_peer(each, peer, own_namespace) for each in peers)


def _is_peer(told: Json, peer: Place, own_namespace: str) -> bool:
    if "ipBlock" in told:
        block = told["ipBlock"]
        at = ip_address(peer.address)
        return (
            not peer.namespace
            and _within(at, block["cidr"])
            and not any(_within(at, each) for each in block.get("except", ()))
        )
    if not peer.namespace:
        return False
    if "namespaceSelector" in told:
        there = matches(told["namespaceSelector"], {NAME_OF_NAMESPACE: peer.namespace})
    else:
        there = peer.namespace == own_namespace
    return there and matches(told.get("podSelector", {}), peer.labels)


def _within(address: Any, block: str) -> bool:
    network = ip_network(block)
    return bool(address.version == network.version and address in network)


def _has_port(ports: Iterable[Json] | None, port: int, protocol: str) -> bool:
    return not ports or any(
        each["port"] == port and each.get("protocol", "TCP") == protocol for each in ports
    )
