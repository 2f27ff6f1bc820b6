"""What a dashboard is made of, and the JSON that Grafana reads it from (schema version 39).

A dashboard is rows, a row is a title and panels, a panel is a question with the queries that answer
it. Everything else (places on the grid, ids, colours, what a click leads to) follows from that and
is the same everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
TEMPO = {"type": "tempo", "uid": "tempo"}

_COLUMNS = 24
_HEIGHT = 8


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression; `legend` names its lines, `{{label}}` standing for a label."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One question: what is drawn, in which unit, and from where on it is a matter of concern.

    `unit` is one of Grafana's (`reqps`, `s`, `percentunit`, `short`); `what` says what a reader may
    conclude. `limit` colours what is above it.
    """

    title: str
    what: str
    unit: str
    queries: Sequence[Query]
    width: int = 8
    limit: float | None = None
    kind: str = "timeseries"

    def model(self) -> dict[str, Any]:
        """The panel but for its id and its place."""
        return {
            "type": self.kind,
            "title": self.title,
            "description": self.what,
            "datasource": PROMETHEUS,
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": _STAT_OPTIONS if self.kind == "stat" else _LINE_OPTIONS,
            "targets": [
                {
                    "refId": chr(ord("A") + place),
                    "datasource": PROMETHEUS,
                    "expr": query.expr,
                    "legendFormat": query.legend,
                }
                for place, query in enumerate(self.queries)
            ],
        }

    def _defaults(self) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if self.limit is not None:
            steps.append({"color": "red", "value": self.limit})
        shown = "area" if self.limit is not None and self.kind == "timeseries" else "off"
        return {
            "unit": self.unit,
            "min": 0,
            "color": {"mode": "thresholds" if self.kind == "stat" else "palette-classic"},
            "thresholds": {"mode": "absolute", "steps": steps},
            "custom": {"thresholdsStyle": {"mode": shown}} if self.kind == "timeseries" else {},
        }


@dataclass(frozen=True, slots=True)
class Traces:
    """A table of traces that Tempo finds by a TraceQL query; a click opens one."""

    title: str
    what: str
    query: str
    width: int = _COLUMNS

    def model(self) -> dict[str, Any]:
        """The panel but for its id and its place."""
        return {
            "type": "table",
            "title": self.title,
            "description": self.what,
            "datasource": TEMPO,
            "fieldConfig": {"defaults": {}, "overrides": []},
            "options": {"showHeader": True},
            "targets": [
                {
                    "refId": "A",
                    "datasource": TEMPO,
                    "queryType": "traceql",
                    "query": self.query,
                    "limit": 20,
                    "tableType": "traces",
                }
            ],
        }


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that answer one question together, side by side."""

    title: str
    panels: Sequence[Panel | Traces]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page; `uid` is its address in Grafana and the name of its file."""

    uid: str
    title: str
    what: str
    variables: Sequence[tuple[str, str]]
    """Names, and the measure whose label of that name gives the choices."""
    rows: Sequence[Row]

    def model(self) -> dict[str, Any]:
        """The whole page as Grafana's provisioning takes it."""
        return {
            "uid": f"gansu-{self.uid}",
            "title": self.title,
            "description": self.what,
            "tags": ["smart-gansu"],
            "schemaVersion": 39,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": "now-3h", "to": "now"},
            "refresh": "30s",
            "templating": {"list": [_variable(*each) for each in self.variables]},
            "annotations": {"list": []},
            "links": [
                {
                    "type": "dashboards",
                    "title": "Smart Gansu",
                    "tags": ["smart-gansu"],
                    "keepTime": True,
                    "includeVars": True,
                    "asDropdown": False,
                }
            ],
            "panels": list(_placed(self.rows)),
        }


_LINE_OPTIONS: dict[str, Any] = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
_STAT_OPTIONS: dict[str, Any] = {
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "colorMode": "background",
    "graphMode": "none",
    "textMode": "value_and_name",
}


def _variable(name: str, measure: str) -> dict[str, Any]:
    question = f"label_values({measure}, {name})"
    return {
        "type": "query",
        "name": name,
        "datasource": PROMETHEUS,
        "query": {"query": question, "refId": name},
        "definition": question,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Each row's heading and panels, from left to right and line after line, numbered from 1."""
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"h": 1, "w": _COLUMNS, "x": 0, "y": top},
            "panels": [],
        }
        top += 1
        left = 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                left, top = 0, top + _HEIGHT
            number += 1
            place = {"h": _HEIGHT, "w": panel.width, "x": left, "y": top}
            yield {"id": number, "gridPos": place, **panel.model()}
            left += panel.width
        top += _HEIGHT
