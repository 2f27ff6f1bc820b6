"""Findings, and how they are told: a table on the terminal, JSON, and docs/benchmarks.md."""

import json
import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

OUT = Path("bench/out/benchmarks.json")
PAGE = Path("docs/benchmarks.md")

PARTS = {
    "a": "Orders as in-process transactions",
    "b": "Orders over HTTP",
    "c": "Reading one's order over HTTP",
    "d": "Latency",
    "e": "Orders and refusals per PUT",
    "f": "The public list through the gateway",
    "g": "One against two writing processes",
    "h": "Search among a million products",
    "i": "Containers that write one journal, on Ceph",
    "j": "A thousand to a million documents",
    "k": "A journal of a hundred thousand entries",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One measured figure. With a `target` it is met at or above it, or `at_most` at or below."""

    part: str
    what: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False
    how: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    @property
    def aim(self) -> str:
        """The target as text."""
        if self.target is None:
            return ""
        return f"{'≤' if self.at_most else '≥'} {_number(self.target)}"

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "missed"}[self.met]


def ratio(
    part: str, what: str, value: float, against: float, target: float | None = None
) -> Finding:
    """How many times `against` the value is."""
    return Finding(part, what, value / against, "×", target)


@dataclass(slots=True)
class Report:
    """Everything that one run found, what limits it next, and under which conditions."""

    command: str
    date: str
    load_before: float
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    conditions: str = ""
    drawn: dict[str, str] = field(default_factory=dict)
    """Charts of a part, as Markdown."""

    def add(self, findings: Iterable[Finding]) -> None:
        self.findings += findings

    @property
    def aimed(self) -> list[Finding]:
        """The findings with a target."""
        return [finding for finding in self.findings if finding.target is not None]

    def terminal(self) -> str:
        """All findings, those with a target first."""
        others = [finding for finding in self.findings if finding.target is None]
        rows = [
            (f"({f.part}) {f.what}", f"{_number(f.value)} {f.unit}", f.aim, f.verdict, f.how)
            for f in [*self.aimed, *others]
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join(
            "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]).rstrip()
            for row in rows
        )

    def write_json(self) -> None:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        found = {"machine": machine(), **asdict(self)}
        OUT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def write_page(self) -> None:
        PAGE.write_text(self.page(), encoding="utf-8")

    def page(self) -> str:
        """`docs/benchmarks.md`, whole."""
        parts = [
            "# Benchmarks\n",
            self._opening(),
            _bullets(f"{name}: {value}" for name, value in machine().items()),
            self._company(),
            "## Against the targets\n",
            _table(
                ("what", "ratio or figure", "target", ""),
                [(f"({f.part}) {f.what}", _cell(f), f.aim, f.verdict) for f in self.aimed],
            ),
            "## What limits it next\n",
            _bullets(self.limits),
            "## Conditions\n",
            self.conditions,
            *(self._section(part) for part in PARTS),
        ]
        return "\n".join(parts).rstrip() + "\n"

    def _opening(self) -> str:
        return (
            f"Written by `{self.command}` on {self.date}, in {self.seconds / 60:.0f} minutes; do"
            " not edit. Everything was measured in turn in this one run, ours and the peer's rounds"
            " alternating; each figure is the median of its rounds.\n"
        )

    def _company(self) -> str:
        """How busy others kept the machine; an idle one shows less than 0.5."""
        return f"Load average when it began, of others: {self.load_before:.1f}.\n"

    def _section(self, part: str) -> str:
        rows = [
            (f.what, _cell(f), f.how) for f in self.findings if f.part == part and f.target is None
        ]
        if not rows:
            return ""
        table = _table(("what", "figure", "how"), rows)
        charts = f"\n{self.drawn[part]}" if self.drawn.get(part) else ""
        return f"## ({part}) {PARTS[part]}\n\n{table}{charts}"


def machine() -> dict[str, str]:
    """What the figures depend on, without naming the machine."""
    return {
        "processor": f"{_cpu_model()}, {os.cpu_count()} cores, shared by load, services and stores",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.4f}"


def _cell(finding: Finding) -> str:
    return f"{_number(finding.value)} {finding.unit}".strip()


def _bullets(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
