"""Objects that Kubernetes itself does not know, held against their published definitions.

`make test` holds them against schemas of our own, which refuse what is unknown; these come from the
definitions' makers, by way of npm's @kubernetes-models, and know every member.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import CHART, EVERYTHING, SETS, kind_of, laid, values_of
from tests.support.helm import Helm
from tests.support.npm import installed, node

FOLDER = Path(__file__).parent / "published_definitions"
KINDS = {
    "BackendTLSPolicy",
    "Gateway",
    "HTTPRoute",
    "PodMonitor",
    "PrometheusRule",
    "ReferenceGrant",
    "serving.knative.dev/Service",
}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def objects() -> Iterator[list[Json]]:
    with Helm(CHART) as helm:
        yield [
            each
            for name in SETS
            for each in helm.render(laid(values_of(name), EVERYTHING))
            if kind_of(each) in KINDS
        ]


def wrong_with(objects: Sequence[Json]) -> list[str]:
    done = subprocess.run(
        [node(), "check.mjs"],
        cwd=installed(FOLDER),
        input=json.dumps(objects),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_every_object_is_as_its_makers_define_it(objects: list[Json]) -> None:
    assert {kind_of(each) for each in objects} == KINDS
    assert [said for said in wrong_with(objects) if said] == []


def test_what_is_not_so_is_found(objects: list[Json]) -> None:
    wrong: dict[str, Json] = {
        "BackendTLSPolicy": {"spec": {"validation": {"hostname": 1}}},
        "Gateway": {"spec": {"listeners": [{"name": "a", "port": "https"}]}},
        "HTTPRoute": {"spec": {"rules": [{"matches": [{"path": {"value": 1}}]}]}},
        "PodMonitor": {"spec": {"podMetricsEndpoints": [{"portNumber": "metrics"}]}},
        "PrometheusRule": {"spec": {"groups": [{"rules": []}]}},
        "ReferenceGrant": {"spec": {"from": [{"kind": "HTTPRoute"}]}},
        "serving.knative.dev/Service": {
            "spec": {"template": {"spec": {"containerConcurrency": "many"}}}
        },
    }
    first = {kind_of(each): each for each in objects}
    broken = [laid(first[kind], change) for kind, change in wrong.items()]
    assert all(wrong_with(broken)), list(zip(wrong, wrong_with(broken), strict=True))
