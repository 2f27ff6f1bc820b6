"""`python -m bench`: measure in turn, tell it, and write docs/benchmarks.md.

python -m bench              the whole, most of an hour
python -m bench --only a d   some of it; the page keeps the rest as it was
python -m bench --quick      the whole in some minutes, for a first look; keeps nothing
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from bench import (
    conditions,
    containers,
    gateway,
    growth,
    http,
    limits,
    observing,
    replay,
    search,
    transactions,
)
from bench import lab as labs
from bench import report as reports
from bench.lab import Lab
from bench.report import Finding, Measured

_MEASURES: dict[str, Callable[[Lab], Iterator[Finding]]] = {
    "a": transactions.races,
    "b": http.measure,
    "d": transactions.latencies,
    "e": transactions.puts,
    "f": gateway.measure,
    "g": transactions.processes,
    "h": search.measure,
    "i": containers.measure,
    "j": growth.measure,
    "k": replay.measure,
    "l": observing.measure,
}

_LOAD_MAX = 0.5
"""Of an idle machine."""


def main() -> None:
    asked = _arguments()
    # Whoever ends a run early ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was done"))
    load = os.getloadavg()[0]
    if load > _LOAD_MAX:
        print(f"Others load this machine ({load:.1f}): figures will be too low.")
    findings: list[Finding] = []
    with labs.opened(labs.QUICK if asked.quick else labs.FULL) as lab:
        for name in asked.only:
            measured = _measured(lab, name, _command(asked), load)
            findings += measured.findings
            if not asked.quick:
                reports.keep(measured)
    print(f"\n{reports.terminal(findings)}\n")
    if not asked.quick:
        _write_page()


def _measured(lab: Lab, name: str, command: str, load: float) -> Measured:
    began = time.monotonic()
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    measured = Measured(name, command, date, load, reports.machine())
    measured.findings += _MEASURES[name](lab)
    measured.seconds = time.monotonic() - began
    return measured


def _command(asked: argparse.Namespace) -> str:
    some = set(asked.only) < set(_MEASURES)
    return " ".join(["python -m bench", *(["--only", *asked.only] if some else [])])


def _write_page() -> None:
    kept = list(reports.read_kept().values())
    findings = [finding for measured in kept for finding in measured.findings]
    drawn = {"j": growth.drawn(findings)}
    text = reports.page(kept, limits.of(findings), conditions.MARKDOWN, drawn)
    reports.PAGE.write_text(text, encoding="utf-8")
    print(f"Written: {reports.PAGE}, {reports.KEPT}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="short rounds, once each; keeps nothing"
    )
    parser.add_argument("--only", nargs="+", choices=_MEASURES, default=list(_MEASURES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
