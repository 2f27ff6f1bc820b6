"""Simulated histories in CI, and proofs that the simulator sees what it has to see."""

import gc
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from shared.storage import replica
from shared.storage.entry import Entry, Event, Write, digest, encode, encode_value
from shared.storage.journal import Journal, Stored
from shared.storage.transaction import BatchTransaction
from tests.simulation import prove as proving
from tests.simulation import run
from tests.simulation.checker import check
from tests.simulation.history import Attempt, History, Reading
from tests.simulation.machine import installed
from tests.simulation.run import simulate
from tests.simulation.scheduler import Scheduler
from tests.simulation.shop import Glance, Look, Restock, Sell
from tests.simulation.store import FAULTS
from tests.simulation.threads import Executor
from tests.support.waiting import wait_until

FIXED = 10
"""Blocks of fixed seeds; each takes a few seconds."""

BLOCK = 50

FRESH = 100


@pytest.mark.parametrize("block", range(FIXED))
def test_fixed_seeds(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        outcome = simulate(seed)
        assert not outcome.faults, told(outcome.seed, outcome.faults, outcome.lines)


def test_fresh_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    first = secrets.randbelow(1 << 40)
    with capsys.disabled():
        print(f"\nsimulated histories from seed {first}")
    for seed in range(first, first + FRESH):
        outcome = simulate(seed)
        assert not outcome.faults, told(outcome.seed, outcome.faults, outcome.lines)


def told(seed: int, faults: list[str], lines: list[str]) -> str:
    again = f"python -m tests.simulation replay --seed {seed}"
    return "\n".join([*lines, *faults, again])


def test_a_seed_replays_exactly() -> None:
    first, again = simulate(20), simulate(20)

    assert first.digest == again.digest
    assert first.lines == again.lines
    assert first.digest != simulate(21).digest


@pytest.mark.parametrize("seed", [20, 9804])
def test_a_seed_is_one_history_in_every_process_whatever_ran_before(seed: int) -> None:
    simulate(21)
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "replay", "--seed", str(seed)],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert f"digest {simulate(seed).digest}\n" in elsewhere


def test_a_refusal_that_nobody_waited_for_is_no_last_word() -> None:
    """A process stands still, its client asks another, which takes the order; then it refuses."""
    assert simulate(30826).faults == []


def test_every_kind_of_trouble_is_met() -> None:
    unmet = {
        *("crash", "freeze", "container killed", "clock set", "disk full"),
        *("replica gone", "replica truncated", "replica stale"),
        *("segment of level 1 made", "segment of level 2 made"),
        *FAULTS,
    }
    for seed in range(200):
        unmet -= {kind.split(" at ")[0] for kind in simulate(seed).happened}
        if not unmet:
            break

    assert not unmet


# Engines that are broken on purpose, and what is said of them


def found(said: str, seeds: int) -> bool:
    """Whether one of so many histories shows such a fault."""
    return any(said in fault for seed in range(seeds) for fault in simulate(seed).faults)


def test_an_engine_that_takes_anothers_entry_for_its_own_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Journal, "_who_holds", lambda *_: Stored())

    assert found("was acknowledged and is lost", 100)


def test_an_engine_that_forgets_keys_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(tx: BatchTransaction, collection: str, key: str) -> object:
        return None if collection == "idempotency" else get(tx, collection, key)

    get = BatchTransaction.get
    monkeypatch.setattr(BatchTransaction, "get", forgetful)

    assert found("stands in entry", 100)


def leaving_a_pool(then: Callable[[], None]) -> list[str]:
    """What a simulation finds of a task that forgets a pool of threads, and goes on."""
    here = Scheduler(1)
    forgotten = []

    def work() -> None:
        results = squares()
        next(results)
        forgotten.append(results)
        then()

    with installed(here):
        task = here.spawn(work, None, "reader")
        here.run(lambda: task.done, seconds=1.0, steps=1_000)
    return here.failures


def squares() -> Iterator[int]:
    with Executor(2, "journal") as pool:
        yield from pool.map(lambda number: number * number, range(9))


def squares_of_all() -> None:
    assert list(squares()) == [number * number for number in range(9)]


def test_a_pool_that_a_task_leaves_open_is_a_finding() -> None:
    assert leaving_a_pool(lambda: None) == ["reader ended in the middle of journal"]
    assert leaving_a_pool(squares_of_all) == [
        "reader begins journal in the middle of journal",
        "reader ended in the middle of journal",
    ]


# The judge alone


def journal(*operations: int) -> list[bytes]:
    """Entries in which `operations` put 5 units of lily on the shelf, each alone."""
    stored = [encode(Entry(1, "c1", "w", "", 0, database="d"))]
    for count, number in enumerate(operations, 1):
        seq = count + 1
        body = encode_value({"left": 5 * count, "sold": 0, "received": 5 * count})
        event = Event(f"e{seq}", "done", encode_value({"operation": number}))
        write = Write("stock", "lily", seq << 16 | 1, 1, body)
        entry = Entry(seq, f"c{seq}", "w", digest(stored[-1]), 0, (write,), (event,))
        stored.append(encode(entry))
    return stored


def restocked(number: int, left: int, seq: int, *, floor: int = 1) -> Attempt:
    row = ("lily", {"left": left, "sold": 0, "received": left})
    return Attempt(Restock(number, "lily", 5), "a.1", floor, True, "done", "", row, seq, seq)


SALE = Sell(9, "citizen", "lily", 3, 1 << 50)


def test_a_sound_history_passes() -> None:
    history = History([restocked(1, 5, 2), restocked(2, 10, 3, floor=2)])
    history.attempts.append(Attempt(SALE, "a.1", 1, True, "refused", "sold-out", ceiling=2))
    look = Look("citizen", "lily")
    lily = ("lily", {"left": 5, "sold": 0, "received": 5})
    history.readings.append(Reading(look, "a.1", 2, "fresh", [lily, lily], 2))

    assert check(journal(1, 2), history) == []


WRONG = {
    "lost": (journal(1), [restocked(1, 5, 2), restocked(2, 10, 3)], "and is lost"),
    "done twice": (journal(1, 1), [restocked(1, 5, 2)], "stands in entry 2 and 3"),
    "another answer": (journal(1), [restocked(1, 6, 2)], "in its place it is"),
    "two answers": (journal(1), [restocked(1, 5, 2), restocked(1, 6, 2)], "was answered"),
    "out of order": (
        journal(1, 2),
        [restocked(2, 10, 3), restocked(1, 5, 3, floor=3)],
        "had been told before it was asked for",
    ),
    "nobody's": (journal(1, 7), [restocked(1, 5, 2)], "nobody asked for operation 7"),
    "a refusal without its state": (
        journal(1),
        [restocked(1, 5, 2), Attempt(SALE, "a.1", 2, True, "refused", "sold-out", ceiling=2)],
        "in no state of its time",
    ),
    "refused and done": (
        journal(1),
        [Attempt(Restock(1, "lily", 5), "a.1", 1, True, "refused", "closed", ceiling=2)],
        "was refused closed, stands in entry 2",
    ),
}


@pytest.mark.parametrize(("stored", "attempts", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_history_is_seen(stored: list[bytes], attempts: list[Attempt], said: str) -> None:
    assert said in "\n".join(check(stored, History(attempts)))


def test_a_stale_read_is_seen() -> None:
    history = History([restocked(1, 5, 2)])
    history.readings.append(Reading(Look("citizen", "lily"), "a.1", 2, "fresh", [], 1))

    assert "had been told before" in "\n".join(check(journal(1), history))


def test_what_was_not_found_though_it_was_there_is_seen() -> None:
    history = History([restocked(1, 5, 2)])
    history.readings.append(Reading(Glance("citizen", "lily"), "a.1", 2, "fresh", [], 2))

    assert "glances at lily was answered []" in "\n".join(check(journal(1), history))


def test_an_entry_that_says_other_than_its_operations_is_seen() -> None:
    *before, last = journal(1)
    changed = last.replace(b'{"left":5,"sold":0,"received":5}', b'{"left":6,"sold":0,"received":5}')

    assert "and should be" in "\n".join(check([*before, changed], History([restocked(1, 5, 2)])))


def test_nobody_runs_in_the_middle_of_a_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A death closes connections; under a statement that is half done that crashed this process.

    With production's 20,000 steps between looks at the clock it did so once in many thousands of
    histories, with five in the first hundred.
    """
    monkeypatch.setattr(replica, "_PROGRESS_STEPS", 5)
    for seed in range(50):
        assert simulate(seed).faults == []


# Proving


def test_a_proof_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(proving, "BLOCK", 2)
    record = tmp_path / "record.json"
    assert proving.prove(0, 4, record) == 0
    assert "4 histories" in capsys.readouterr().out

    monkeypatch.setattr(proving, "judge", _die)
    assert proving.prove(0, 4, record) == 0, "nothing is judged again"
    with pytest.raises(BrokenProcessPool):
        proving.prove(0, 6, record)

    monkeypatch.setattr(proving, "version", lambda: "another")
    with pytest.raises(BrokenProcessPool):
        proving.prove(0, 4, record)


def test_a_proof_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    proof = subprocess.Popen(
        [sys.executable, "-m", "tests.simulation", "prove", "--histories", "2000"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    )
    place = run.MEMORY if run.MEMORY.is_dir() else Path(tempfile.gettempdir())
    try:
        wait_until(lambda: any(place.glob(f"proof-{proof.pid}-*/simulation-*")), "its histories")
        children = Path(f"/proc/{proof.pid}/task/{proof.pid}/children").read_text().split()
        assert children

        proof.terminate()

        assert proof.wait(20) != 0
        assert list(place.glob(f"proof-{proof.pid}-*")) == []
        wait_until(
            lambda: not any(Path(f"/proc/{each}").exists() for each in children), "their end"
        )
    finally:
        proof.kill()
        proof.wait()


def _die(_: int) -> dict[str, Any]:
    os._exit(9)


def test_many_histories_take_no_more_memory_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "BLOCK", 3)
    proving.judge(0)

    # The last one is let go of by the next.
    assert sum(isinstance(each, Scheduler) for each in gc.get_objects()) <= 1
