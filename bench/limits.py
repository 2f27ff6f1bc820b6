"""The next limit, named from what a run measured: what the costliest part of an order is."""

import os
from collections.abc import Iterator, Sequence

from bench.report import Finding

MICROSECONDS = "µs/order"


def of(findings: Sequence[Finding]) -> Iterator[str]:
    """One sentence for each part whose figures are there."""
    figures = {(finding.part, finding.what): finding.value for finding in findings}
    yield from _in_process(findings)
    yield from _over_http(figures)
    yield from _processes(figures)
    yield from _distance(figures)
    yield from _gateway(figures)
    yield from _containers(figures)


def _in_process(findings: Sequence[Finding]) -> Iterator[str]:
    ours = [
        finding
        for finding in findings
        if finding.part == "a" and finding.what.startswith("hot: ours, ")
    ]
    if ours:
        costs = ", ".join(f"{_part(f.what)} {f.value:.0f} µs" for f in ours)
        most = max(ours, key=lambda finding: finding.value)
        yield (
            f"In-process, an order on a hot product takes of the processor: {costs}. The next"
            f" limit is {_part(most.what)}: one process runs on one core, {1e6 / most.value:,.0f}"
            " orders a second at this cost if it never waited."
        )


def _over_http(figures: dict[tuple[str, str], float]) -> Iterator[str]:
    ours = figures.get(("b", "hot: ours, Python"))
    nothing = figures.get(("b", "hot: storing nothing, Python"))
    store = figures.get(("b", "hot: ours, SeaweedFS"))
    if ours and nothing and store is not None:
        yield (
            f"Over HTTP, an order takes {ours:.0f} µs of Python and {store:.0f} µs of SeaweedFS;"
            f" {nothing:.0f} µs of the Python are spent by the route that stores nothing"
            " (gunicorn, token, schemas, JSON, log). The next limit is "
            + ("that web path." if nothing > ours / 2 else "the storing.")
            + " Were the engine's own Python free, and SeaweedFS's part as it is, an order would"
            f" come at {nothing / (nothing + store):.2f} of the rate of that route."
        )


def _processes(figures: dict[tuple[str, str], float]) -> Iterator[str]:
    ratio = figures.get(("g", "hot: two processes to one"))
    if ratio is not None:
        yield (
            f"Two writing processes in one container do {ratio:.2f} times what one does in-process:"
            " entries are decided one after another, so a second process adds Python for requests"
            " and none for committing."
        )


def _distance(figures: dict[tuple[str, str], float]) -> Iterator[str]:
    put = figures.get(("d", "PUT, 40 ms in every store call, p50"))
    if put:
        yield (
            f"With the store 40 ms further away an entry takes {put:.0f} ms, and"
            f" {1000 / put:.0f} entries a second are decided: orders a second are then the callers"
            " that wait, times that."
        )


def _gateway(figures: dict[tuple[str, str], float]) -> Iterator[str]:
    whole = figures.get(("f", "the gateway to nginx's cache alone"))
    cache = figures.get(("f", "nginx's cache alone to a file"))
    if whole and cache:
        share = (1 - cache) / (1 / whole - cache)
        yield (
            "A list from nginx's cache, with nothing else configured, comes at"
            f" {cache:.2f} of the rate of a file: no gateway with that cache does better. Ours does"
            f" {whole:.2f} of it with limits, languages, headers and checks. Of a list's time"
            f" beyond a file's, {share:.0%} is the cache's."
        )


def _containers(figures: dict[tuple[str, str], float]) -> Iterator[str]:
    alone = figures.get(("i", "1 writing"))
    python_alone = figures.get(("i", "1 writing, Python"))
    python, store = (figures.get(("i", f"8 writing, {what}")) for what in ("Python", "Ceph"))
    if alone and python_alone and python and store:
        most = (os.cpu_count() or 1) * 1e6 / (python + store)
        yield (
            f"An order that eight containers write takes {python:.0f} µs of Python, for each of"
            f" them applies it, where one alone takes {python_alone:.0f}; and {store:.0f} µs of"
            f" Ceph. At this cost the processors, were they never idle, would do {most:,.0f} orders"
            f" a second, {most / alone:.2f} of what one container does: they are the next limit."
        )


def _part(what: str) -> str:
    return what.rpartition(", ")[2]
