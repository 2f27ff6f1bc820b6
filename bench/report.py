"""Findings, and how they are told: a table on the terminal, and docs/benchmarks.md.

The whole takes most of an hour, so runs of some of it are kept too, in `bench/results.json`: each
measurement as it was last made, with when, by which command and beside which load. What is compared
with each other is always of one run.
"""

import json
import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

KEPT = Path("bench/results.json")
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
    "l": "Orders over HTTP, observed",
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
class Measured:
    """What one measurement found, when, how, and beside what."""

    name: str
    command: str
    date: str
    load_before: float
    machine: dict[str, str]
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def read_kept() -> dict[str, Measured]:
    """Each measurement as it was last made."""
    if not KEPT.exists():
        return {}
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    return {
        name: Measured(**{**found, "findings": [Finding(**each) for each in found["findings"]]})
        for name, found in kept.items()
    }


def keep(measured: Measured) -> None:
    """Put a measurement in the place of an earlier one."""
    kept = {**read_kept(), measured.name: measured}
    found = {name: asdict(kept[name]) for name in sorted(kept)}
    KEPT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def terminal(findings: Sequence[Finding]) -> str:
    """All findings, those with a target first."""
    others = [finding for finding in findings if finding.target is None]
    rows = [
        (f"({f.part}) {f.what}", f"{_number(f.value)} {f.unit}", f.aim, f.verdict, f.how)
        for f in [*_aimed(findings), *others]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    )


def page(
    kept: Sequence[Measured], limits: Iterable[str], conditions: str, drawn: dict[str, str]
) -> str:
    """`docs/benchmarks.md`, whole. `drawn` are charts of a part, as Markdown."""
    findings = [finding for measured in kept for finding in measured.findings]
    machines = {tuple(sorted(measured.machine.items())) for measured in kept}
    parts = [
        "# Benchmarks\n",
        _OPENING,
        *(_bullets(f"{name}: {value}" for name, value in each) for each in sorted(machines)),
        _table(
            ("measured by", "on", "minutes", "load of others when it began"),
            [
                (
                    f"`{m.command}`: {m.name}",
                    m.date,
                    f"{m.seconds / 60:.0f}",
                    f"{m.load_before:.1f}",
                )
                for m in kept
            ],
        ),
        "## Against the targets\n",
        _table(
            ("what", "ratio or figure", "target", ""),
            [(f"({f.part}) {f.what}", _cell(f), f.aim, f.verdict) for f in _aimed(findings)],
        ),
        "## What limits it next\n",
        _bullets(limits),
        "## Conditions\n",
        conditions,
        *(_section(part, findings, drawn.get(part, "")) for part in PARTS),
    ]
    return "\n".join(parts).rstrip() + "\n"


_OPENING = """\
Written by `python -m bench`; do not edit. Each measurement stands as it was last made; what is
compared with each other was measured in turn in one run, ours and the peer's rounds alternating;
each figure is the median of its rounds. Others load an idle machine by less than 0.5.
"""


def _aimed(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with a target."""
    return [finding for finding in findings if finding.target is not None]


def _section(part: str, findings: Iterable[Finding], drawn: str) -> str:
    rows = [(f.what, _cell(f), f.how) for f in findings if f.part == part and f.target is None]
    if not rows:
        return ""
    table = _table(("what", "figure", "how"), rows)
    return f"## ({part}) {PARTS[part]}\n\n{table}" + (f"\n{drawn}" if drawn else "")


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
