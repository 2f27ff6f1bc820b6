"""`python -m bench`: measure everything in turn, tell it, and write docs/benchmarks.md.

python -m bench              the whole, some twenty minutes
python -m bench --quick      the whole in three minutes, for a first look; writes no page
python -m bench --only a d   some parts; writes no page
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
    replay,
    search,
    transactions,
)
from bench import lab as labs
from bench import report as reports
from bench.lab import Lab
from bench.report import Finding, Report

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
}

_LOAD_MAX = 0.5
"""Of an idle machine."""


def main() -> None:
    asked = _arguments()
    # Whoever ends a run early ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was done"))
    report = Report("python -m bench", f"{datetime.now(UTC):%Y-%m-%d}", os.getloadavg()[0])
    if report.load_before > _LOAD_MAX:
        print(f"Others load this machine ({report.load_before:.1f}): figures will be too low.")
    began = time.monotonic()
    try:
        with labs.opened(labs.QUICK if asked.quick else labs.FULL) as lab:
            for part in asked.only:
                report.add(_MEASURES[part](lab))
    finally:
        # What was found before a part failed took minutes, too.
        report.seconds = time.monotonic() - began
        report.write_json()
    report.conditions = conditions.MARKDOWN
    report.drawn["j"] = growth.drawn(report.findings)
    report.limits += limits.of(report.findings)
    print(f"\n{report.terminal()}\n")
    if asked.quick or set(asked.only) < set(_MEASURES):
        print("Part of the whole: docs/benchmarks.md stays as it is.")
    else:
        report.write_page()
        print(f"Written: {reports.PAGE}, {reports.OUT}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, once each")
    parser.add_argument("--only", nargs="+", choices=_MEASURES, default=list(_MEASURES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
