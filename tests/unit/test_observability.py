"""Dashboards, alerts and runbooks: what they ask is measured, and they belong together."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.observability.__main__ import FOLDER, text_of
from infra.observability.dashboards import DASHBOARDS
from infra.observability.panels import Dashboard
from tests.support.measures import asked, series

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "infra/observability/alerts.yml"
RUNBOOKS = ROOT / "docs/runbooks.md"
PARTS = ["Means", "Look at", "Do", "Over when"]

Json = Mapping[str, Any]


def alerts() -> list[Json]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def sections() -> dict[str, str]:
    parts = re.split(r"^## (\S+)\n", RUNBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def panels() -> Iterator[tuple[str, Json]]:
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield f"{path.stem}: {panel['title']}", panel


def queries() -> Iterator[tuple[str, str, str]]:
    for place, panel in panels():
        for target in panel.get("targets", ()):
            if target["datasource"]["uid"] == "prometheus":
                expr = target["expr"].replace("$__rate_interval", "1m")
                yield place, expr, target["legendFormat"]


def test_the_dashboards_are_those_that_the_generator_writes() -> None:
    kept = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert kept == {each.uid: text_of(each) for each in DASHBOARDS}, (
        "run: .venv/bin/python -m infra.observability"
    )


@pytest.mark.parametrize(("place", "expr", "legend"), list(queries()))
def test_a_panel_asks_for_what_is_measured(place: str, expr: str, legend: str) -> None:
    answer = asked(expr)
    assert answer.unknown == ()
    assert set(re.findall(r"{{(\w+)}}", legend)) <= answer.labels, place
    if len(answer.labels) > 0:
        assert "{{" in legend, f"{place}: nothing tells its lines apart"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_choices_of_a_dashboard_are_used_and_come_from_labels_that_are_there(
    dashboard: Dashboard,
) -> None:
    for name, measure in dashboard.variables:
        assert name in series()[measure]
    used = set(re.findall(r"\$([a-z]+)\b", text_of(dashboard)))
    assert used == {name for name, _ in dashboard.variables}


def test_every_measure_is_shown_somewhere() -> None:
    shown = {name for _, expr, _ in queries() for name in asked(expr).read}
    missing = {
        name
        for name in series()
        if name != "up" and not {name, re.sub("_sum$", "_count", name)} & shown
    }
    # How many are in a batch, how long a write waits: the buckets say more than their count.
    assert {re.sub("_(?:count|sum)$", "_bucket", each) for each in missing} <= shown


def test_panels_stand_side_by_side_and_none_on_another() -> None:
    for path in FOLDER.iterdir():
        taken: set[tuple[int, int]] = set()
        numbers = []
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert all(x < 24 for x, _ in cells)
            assert not cells & taken, panel["title"]
            taken |= cells
            numbers.append(panel["id"])
        assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_measured_and_says_who_is_meant(rule: Json) -> None:
    answer = asked(rule["expr"])
    assert answer.unknown == ()
    told = "".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", told)) <= answer.labels
    assert answer.labels == set() or "$labels." in rule["annotations"]["summary"]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_is_complete(rule: Json) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"
    section = sections()[rule["alert"]]
    severity = rule["labels"]["severity"]
    assert f"({severity})" in re.sub(r"\s+", " ", section.split("**Look at.**")[0])
    assert re.findall(r"^\*\*([^*.]+)\.\*\*", section, flags=re.MULTILINE) == PARTS


def test_each_alert_has_a_section_and_each_section_an_alert() -> None:
    assert list(sections()) == [rule["alert"] for rule in alerts()]


def test_runbooks_lead_to_sections_that_are_there() -> None:
    text = RUNBOOKS.read_text(encoding="utf-8")
    there = {name.lower() for name in sections()}
    assert set(re.findall(r"\(#([a-z]+)\)", text)) <= there


@pytest.mark.parametrize(
    "expr",
    [
        "sum by (service) (rate(gansu_commits[5m]))",
        'gansu_ready{database="commerce"}',
        "sum by (route) (rate(gansu_shed_total[5m]))",
        "histogram_quantile(0.99, sum by (service) (rate(gansu_commit_batch_size_bucket[5m])))",
        "sum by (service) (gansu_ready) / sum by (job) (gansu_ready)",
        "gansu_ready and on (database) gansu_commit_queue_depth",
    ],
)
def test_what_is_not_measured_is_found(expr: str) -> None:
    assert asked(expr).unknown != ()


def test_what_is_no_query_is_found() -> None:
    with pytest.raises(ValueError, match="invalid promql"):
        asked("sum by (service) rate(gansu_shed_total[5m])")
