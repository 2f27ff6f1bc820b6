"""Helm, in a process of its own: what charts render to, and what Helm says of them.

    with Helm(Path("infra/chart")) as helm:
        objects = helm.render(values)          a list of Kubernetes objects
        helm.refusal(values)                   what it says to values that it does not take
        helm.lint(values)                      its complaints

The library brings Go's runtime with threads of its own, which has no place in a process that other
tests fork. Requests and answers are lines of JSON.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import helm_python
import yaml

RELEASE, NAMESPACE = "gansu", "smart-gansu"
WARNING = 2
"""Of Helm's severities, the lowest that is a complaint."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where there is one: dashboards are long."""

Json = dict[str, Any]


class Helm:
    """The process, while the context lasts."""

    def __init__(self, chart: Path) -> None:
        self._chart = chart
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.helm", str(self._chart)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # that links are followed, and nothing else
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()

    def render(self, values: Mapping[str, Any]) -> list[Json]:
        """The objects that a release has, hooks among them."""
        answer = self._ask("render", values)
        assert "refused" not in answer, answer["refused"]
        objects: list[Json] = answer["objects"]
        return objects

    def refusal(self, values: Mapping[str, Any]) -> str:
        """What Helm says to these values; empty where it takes them."""
        return str(self._ask("render", values).get("refused", ""))

    def lint(self, values: Mapping[str, Any]) -> list[str]:
        """What `helm lint --strict` complains about."""
        complaints: list[str] = self._ask("lint", values)["complaints"]
        return complaints

    def _ask(self, what: str, values: Mapping[str, Any]) -> Json:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what, "values": values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "Helm's process has ended"
        answer: Json = json.loads(line)
        return answer


def _render(chart: helm_python.Chart, values: Json) -> Json:
    try:
        rendered = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    except helm_python.HelmError as refused:
        return {"refused": str(refused)}
    texts = [text for name, text in sorted(rendered.items()) if name.endswith(".yaml")]
    return {"objects": [each for text in texts for each in yaml.load_all(text, LOADER) if each]}


def _lint(path: str, values: Json) -> Json:
    report = helm_python.lint(path, values, strict=True, namespace=NAMESPACE)
    told = [each["error"] for each in report["messages"] if each["severity"] >= WARNING]
    return {"complaints": [*told, *report["errors"]]}


def _serve(path: str) -> None:
    with helm_python.Chart.load(path) as chart:
        for line in sys.stdin:
            asked = json.loads(line)
            values = asked["values"]
            answer = _lint(path, values) if asked["what"] == "lint" else _render(chart, values)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
