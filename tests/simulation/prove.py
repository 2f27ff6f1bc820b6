"""Judging many histories: block by block, on all processors, going on where it stopped."""

import functools
import gc
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tests.simulation import run

BLOCK = 200
"""Histories between two notes of how far it got."""

_FORK = multiprocessing.get_context("fork")
"""Its processes run what this one has imported, as `version` says, whatever is edited meanwhile."""


@functools.cache
def version() -> str:
    """Changes with whatever of the platform a history runs, and with the simulator."""
    names = [name for name in sys.modules if name.startswith(("shared.", "tests.simulation."))]
    files = [Path(str(sys.modules[name].__file__)) for name in sorted(names)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def judge(block: int) -> dict[str, Any]:
    """Run one block of seeds; its figures, and what was wrong by seed."""
    figures: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {}
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        outcome = run.simulate(seed)
        figures.update(histories=1, requests=outcome.operations, entries=outcome.entries)
        happened.update(outcome.happened)
        if outcome.faults:
            wrong[str(seed)] = outcome.faults
    # Some of what a history made is still held while it is looked through after it, and the next
    # one does not look at it again: half a megabyte each.
    gc.collect()
    return {"block": block, "figures": figures, "happened": happened, "wrong": wrong}


def _begin(folder: str) -> None:
    """What a process does first: its parent ends it, and clears away what it leaves in `folder`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    run.MEMORY = Path(folder)


def prove(first: int, histories: int, record: Path) -> int:
    """Judge so many seeds from `first` (both rounded to whole blocks); 1 if any was wrong."""
    version()  # of what was imported, before anybody edits it
    blocks = range(first // BLOCK, -(-(first + histories) // BLOCK))
    done = _read(record)
    left = [block for block in blocks if block not in done]
    bar = tqdm(
        total=len(blocks) * BLOCK, unit=" histories", initial=BLOCK * (len(blocks) - len(left))
    )
    place = run.MEMORY if run.MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix=f"proof-{os.getpid()}-", dir=place) as folder,
        ProcessPoolExecutor(mp_context=_FORK, initializer=_begin, initargs=(folder,)) as pool,
        bar,
    ):
        try:
            for judging in as_completed([pool.submit(judge, block) for block in left]):
                judged = judging.result()
                done[judged["block"]] = judged
                _write(record, done)
                bar.update(BLOCK)
                for seed, faults in judged["wrong"].items():
                    tqdm.write(f"seed {seed}: {faults[0]}", file=sys.stderr)
        except BaseException:  # one of the processes was killed, or this one is told to stop
            for process in multiprocessing.active_children():
                process.kill()
            raise
    return _report([done[block] for block in blocks])


def _report(judged: list[dict[str, Any]]) -> int:
    figures: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {}
    for block in judged:
        figures.update(block["figures"])
        happened.update(block["happened"])
        wrong |= block["wrong"]
    print(f"engine and simulator {version()}")
    print(", ".join(f"{count:,} {what}" for what, count in figures.items()))
    for what, count in happened.most_common():
        print(f"{count:>12,}  {what}")
    print(f"{len(wrong):>12,}  histories with a violation")
    for seed, faults in wrong.items():
        print(f"seed {seed}: {'; '.join(faults)}")
    return 1 if wrong else 0


def _read(record: Path) -> dict[int, dict[str, Any]]:
    if not record.exists():
        return {}
    kept = json.loads(record.read_text())
    if kept["version"] != version():
        return {}
    return {block["block"]: block for block in kept["blocks"]}


def _write(record: Path, done: dict[int, dict[str, Any]]) -> None:
    record.parent.mkdir(exist_ok=True)
    fresh = record.with_suffix(".new")
    fresh.write_text(json.dumps({"version": version(), "blocks": list(done.values())}))
    fresh.replace(record)
