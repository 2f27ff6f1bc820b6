"""Real processes: started, lost, found again and ended, with nothing left."""

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from infra import guard, locks, processes, run
from infra.ending import Ending
from infra.layout import Layout
from infra.processes import Program
from infra.supervisor import LOG_BYTES_MAX, PAUSE_SECONDS_MAX, Supervisor
from shared.clock import SystemClock
from tests.support.waiting import wait_until

CLOCK = SystemClock()

# A program whose child outlives it, as nginx's workers outlive a master that was killed.
PARENT = """
import os, sys, time
print("child" if os.fork() == 0 else "here", os.getpid(), flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(600)
"""
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
print("here", flush=True)
time.sleep(600)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path / "run")
    layout.prepare()
    yield layout
    processes.end_left(layout.processes, CLOCK)


def program(code: str, name: str = "one", grace_seconds: float = 5) -> Program:
    return Program(name, (sys.executable, "-c", code), Path.cwd(), grace_seconds=grace_seconds)


def started(layout: Layout, code: str) -> tuple[subprocess.Popen[bytes], Path]:
    """A program that has said `here`, and its log."""
    log = layout.logs / "one.log"
    process = processes.start(program(code), layout.processes, log)
    wait_until(lambda: re.search(r"here.*\n", log.read_text()) is not None, "the program")
    return process, log


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has waited for is dead enough.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_lock_says_whether_anybody_lives(tmp_path: Path) -> None:
    descriptor = locks.take(tmp_path / "lock")
    assert descriptor is not None
    assert locks.take(tmp_path / "lock") is None
    assert locks.is_held(tmp_path / "lock")
    os.close(descriptor)
    assert not locks.is_held(tmp_path / "lock")


def test_a_program_is_ended_with_its_children(layout: Layout) -> None:
    process, log = started(layout, PARENT)
    wait_until(lambda: re.search(r"child \d+\n", log.read_text()) is not None, "the child")
    pids = [int(line.split()[1]) for line in log.read_text().splitlines()]
    lock = processes.lock_of("one", layout.processes)
    processes.end(lock, CLOCK, signal.SIGTERM, 0.1)
    process.wait()
    assert not any(alive(pid) for pid in pids)
    assert processes.left(layout.processes) == []


def test_a_child_that_outlives_its_parent_is_found_and_ended(layout: Layout) -> None:
    process, log = started(layout, PARENT)
    wait_until(lambda: "child" in log.read_text(), "the child")
    process.kill()
    process.wait()
    [child] = [int(line.split()[1]) for line in log.read_text().splitlines() if "child" in line]
    assert alive(child)
    assert [lock.stem for lock in processes.left(layout.processes)] == ["one"]
    with pytest.raises(processes.StillRunning):
        processes.start(program(POLITE), layout.processes, log)
    assert processes.end_left(layout.processes, CLOCK) == ["one"]
    wait_until(lambda: not alive(child), "the end of the child")


def test_a_program_may_say_goodbye(layout: Layout) -> None:
    process, log = started(layout, POLITE)
    processes.end(processes.lock_of("one", layout.processes), CLOCK, signal.SIGTERM, 10)
    assert process.wait() == 0
    assert log.read_text().endswith("bye\n")


def test_one_that_will_not_go_is_killed_when_its_time_is_over(layout: Layout) -> None:
    process, _ = started(layout, STUBBORN)
    processes.end(processes.lock_of("one", layout.processes), CLOCK, signal.SIGTERM, 0.3)
    assert process.wait() == -signal.SIGKILL


def test_nothing_is_killed_on_the_word_of_a_stale_note(layout: Layout) -> None:
    """The number in a free lock's file may be anybody's by now; here it is this test's own."""
    lock = processes.lock_of("one", layout.processes)
    lock.write_text(str(os.getpid()))
    processes.end(lock, CLOCK, signal.SIGKILL, 0)
    assert processes.end_left(layout.processes, CLOCK) == []


def test_the_dead_are_started_again_and_pauses_grow(layout: Layout) -> None:
    said: list[str] = []
    supervisor = Supervisor(layout, CLOCK, said.append)
    supervisor.start(program("raise SystemExit(3)"))

    def died_three_times() -> bool:
        supervisor.watch()
        return supervisor.deaths() == {"one": 3}

    began = CLOCK.monotonic()
    wait_until(died_three_times, "three deaths")
    assert CLOCK.monotonic() - began > 0.5  # none after the first death, half a second after it
    supervisor.stop()
    assert said == ["one ended with status 3; starting it again"] * 3


def test_a_killed_parents_children_make_way_for_its_successor(layout: Layout) -> None:
    said: list[str] = []
    supervisor = Supervisor(layout, CLOCK, said.append)
    supervisor.start(program(PARENT, grace_seconds=0.2))
    log = supervisor.log_of("one")
    wait_until(lambda: log.read_text().count("\n") == 2, "parent and child")
    pids = {line.split()[0]: int(line.split()[1]) for line in log.read_text().splitlines()}
    os.kill(pids["here"], signal.SIGKILL)

    def revived() -> bool:
        supervisor.watch()
        return log.read_text().count("here") == 2

    wait_until(revived, "the successor")
    assert not alive(pids["child"])
    supervisor.stop()
    assert said == ["one was ended by SIGKILL; starting it again"]
    assert processes.left(layout.processes) == []


def test_programs_stop_in_reverse(layout: Layout) -> None:
    supervisor = Supervisor(layout, CLOCK, lambda _: None)
    shared = f"import os; log = os.open({str(layout.root / 'order')!r}, os.O_APPEND | os.O_WRONLY)"
    (layout.root / "order").touch()
    for name in ("store", "service", "gateway"):
        goodbye = POLITE.replace('print("bye", flush=True)', f"os.write(log, b'{name} ')")
        supervisor.start(program(shared + goodbye, name))
        wait_until(lambda name=name: "here" in supervisor.log_of(name).read_text(), name)  # type: ignore[misc]
    supervisor.stop()
    assert (layout.root / "order").read_text() == "gateway service store "


def test_haste_ends_the_time_of_grace(layout: Layout) -> None:
    supervisor = Supervisor(layout, CLOCK, lambda _: None)
    supervisor.start(program(STUBBORN, grace_seconds=600))
    wait_until(lambda: "here" in supervisor.log_of("one").read_text(), "the program")
    supervisor.stop(in_haste=lambda: True)
    assert processes.left(layout.processes) == []


@pytest.mark.parametrize("gone", ["one.lock", ""], ids=["lock", "folder"])
def test_a_program_whose_lock_was_removed_is_ended_all_the_same(layout: Layout, gone: str) -> None:
    supervisor = Supervisor(layout, CLOCK, lambda _: None)
    supervisor.start(program(POLITE))
    log = supervisor.log_of("one")
    wait_until(lambda: "here" in log.read_text(), "the program")
    pid = int(processes.lock_of("one", layout.processes).read_text())
    (layout.processes / "one.lock").unlink()
    if not gone:
        layout.processes.rmdir()
    supervisor.stop()
    assert not alive(pid)


def test_one_that_nothing_ends_keeps_no_other_alive(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor(layout, CLOCK, lambda _: None)
    supervisor.start(program(POLITE, "one"))
    supervisor.start(program(POLITE, "stuck"))
    process, end = supervisor._children[-1].process, processes.end

    def stuck(lock: Path, *rest: Any) -> None:
        if lock.stem == "stuck":
            raise processes.StillRunning("stuck")
        end(lock, *rest)

    monkeypatch.setattr(processes, "end", stuck)
    with pytest.raises(processes.StillRunning, match="stuck"):
        supervisor.stop()
    assert [lock.stem for lock in processes.left(layout.processes)] == ["stuck"]
    process.kill()
    process.wait()


def test_a_start_that_fails_is_told_once_and_tried_again(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    supervisor = Supervisor(layout, CLOCK, said.append)
    supervisor.start(program("raise SystemExit(3)"))
    start = processes.start
    full = OSError(errno.ENOSPC, "No space left on device")

    def refused(*_: Any) -> None:
        raise full

    monkeypatch.setattr(processes, "start", refused)

    def failed_twice() -> bool:
        supervisor.watch()
        return supervisor.deaths() == {"one": 3}

    wait_until(failed_twice, "a death and two starts that fail")
    assert said == [
        "one ended with status 3; starting it again",
        f"Failed to start one, and tries again: {full}",
    ]
    monkeypatch.setattr(processes, "start", start)
    [lock] = layout.processes.iterdir()
    lock.write_text("")

    def started_again() -> bool:
        supervisor.watch()
        return lock.read_text() != ""

    wait_until(started_again, "its start")
    supervisor.stop()


def test_what_dies_is_started_again_where_its_log_was_removed(layout: Layout) -> None:
    supervisor = Supervisor(layout, CLOCK, lambda _: None)
    supervisor.start(program(POLITE))
    log = supervisor.log_of("one")
    wait_until(lambda: "here" in log.read_text(), "the program")
    log.unlink()
    layout.logs.rmdir()
    os.kill(int(processes.lock_of("one", layout.processes).read_text()), signal.SIGKILL)

    def revived() -> bool:
        supervisor.watch()
        return log.exists() and "here" in log.read_text()

    wait_until(revived, "its successor")
    supervisor.stop()


def test_one_that_dies_for_days_is_started_again(layout: Layout) -> None:
    supervisor = Supervisor(layout, CLOCK, lambda _: None)
    supervisor.start(program("raise SystemExit(3)"))
    [child] = supervisor._children
    child.deaths = 3_000
    child.process.wait()
    supervisor.watch()
    assert child.due_at == pytest.approx(CLOCK.monotonic() + PAUSE_SECONDS_MAX, abs=5)


def test_a_log_that_cannot_be_bounded_keeps_no_other_from_it(layout: Layout) -> None:
    said: list[str] = []
    supervisor = Supervisor(layout, CLOCK, said.append)
    for name in ("one", "stuck", "two"):
        supervisor.log_of(name).touch()
        os.truncate(supervisor.log_of(name), LOG_BYTES_MAX + 1)
    (layout.logs / "stuck.log.1").mkdir()
    for _ in range(2):
        supervisor.bound_logs()
    assert [supervisor.log_of(name).stat().st_size for name in ("one", "two")] == [0, 0]
    [told] = said
    assert told.startswith("Failed to bound stuck.log, and tries again: ")


def test_a_log_is_bounded_while_its_program_writes_on(layout: Layout) -> None:
    supervisor = Supervisor(layout, CLOCK, lambda _: None)
    supervisor.start(program(POLITE))
    log = supervisor.log_of("one")
    wait_until(lambda: "here" in log.read_text(), "the program")
    os.truncate(log, LOG_BYTES_MAX + 1)
    supervisor.bound_logs()
    assert log.stat().st_size == 0
    assert log.with_suffix(".log.1").stat().st_size == LOG_BYTES_MAX + 1
    supervisor.stop()
    assert log.read_text() == "bye\n"


UNABLE = """
import sys
from pathlib import Path
from infra import run
from infra.ending import Ending
from infra.layout import Layout
from infra.processes import Program
from infra.supervisor import Supervisor
from shared.clock import SystemClock

class Unable(Supervisor):
    def stop(self, *_: object) -> None:
        raise RuntimeError("no")

layout = Layout(Path(sys.argv[1]))
lock = run.take_over(layout, SystemClock())
supervisor = Unable(layout, SystemClock(), print)
with run.ended(supervisor, layout, SystemClock(), Ending()):
    supervisor.start(Program("one", ("/bin/sleep", "600"), layout.root))
"""


def test_a_guard_ends_what_a_runner_could_not(layout: Layout) -> None:
    argv = [sys.executable, "-c", UNABLE, str(layout.root)]
    done = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert "RuntimeError: no" in done.stderr
    wait_until(lambda: processes.left(layout.processes) == [], "the end of what it ran")


def test_a_runner_ends_what_it_began_aside_and_then_lets_its_guard_go(layout: Layout) -> None:
    supervisor = Supervisor(layout, CLOCK, lambda _: None)
    with suppress(RuntimeError), run.ended(supervisor, layout, CLOCK, Ending()):
        process, _ = started(layout, POLITE)  # as samples are planted
        raise RuntimeError
    assert process.wait(timeout=5) == -signal.SIGKILL


@pytest.fixture
def listened() -> Iterator[tuple[signal.Signals, ...]]:
    """The signals that an end listens to, which afterwards do what they did before."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    kept = [signal.getsignal(number) for number in numbers]
    yield numbers
    for number, handler in zip(numbers, kept, strict=True):
        signal.signal(number, handler)


def test_signals_are_counted_and_interrupt_nothing(listened: tuple[signal.Signals, ...]) -> None:
    ending = Ending()
    ending.listen()
    assert not ending.within(0, CLOCK)
    os.kill(os.getpid(), signal.SIGINT)
    assert ending.within(600, CLOCK)
    assert not ending.in_haste()
    for number in listened:
        os.kill(os.getpid(), number)
    assert ending.in_haste()


@pytest.mark.usefixtures("listened")
def test_what_nohup_began_outlives_its_terminal() -> None:
    ending = Ending()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ending.listen()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not ending.within(0, CLOCK)
    os.kill(os.getpid(), signal.SIGTERM)
    assert ending.within(600, CLOCK)


def test_a_guard_ends_what_a_killed_runner_left(layout: Layout) -> None:
    process, _ = started(layout, POLITE)
    watching = guard.start(layout)
    assert watching.stdin is not None
    watching.stdin.close()  # what the runner's death does
    assert process.wait(timeout=20) == -signal.SIGKILL
    assert watching.wait(timeout=20) == 0


def test_a_guard_waits_for_the_lock_of_a_runner_that_is_dying(layout: Layout) -> None:
    lock = locks.take(layout.runner_lock)
    assert lock is not None
    process, _ = started(layout, POLITE)
    watching = guard.start(layout)
    assert watching.stdin is not None
    watching.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        watching.wait(timeout=0.5)
    os.close(lock)
    assert process.wait(timeout=20) == -signal.SIGKILL
    assert watching.wait(timeout=20) == 0


def test_a_guard_goes_with_a_runner_that_has_stopped(layout: Layout) -> None:
    process, _ = started(layout, POLITE)
    guard.dismiss(guard.start(layout))
    assert process.poll() is None
    processes.end_left(layout.processes, CLOCK)
    process.wait()


def test_a_guard_leaves_a_new_runners_programs_alone(layout: Layout) -> None:
    lock = locks.take(layout.runner_lock)
    assert lock is not None
    process, _ = started(layout, POLITE)
    watching = guard.start(layout)
    assert watching.stdin is not None
    watching.stdin.close()
    assert watching.wait(timeout=20) == 0
    assert process.poll() is None
    os.close(lock)
    processes.end_left(layout.processes, CLOCK)
    process.wait()


def test_folders_are_the_owners_alone_and_sockets_fit(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # The test's own folder may be too long for a socket itself.
    short = tempfile.TemporaryDirectory(prefix="g")
    request.addfinalizer(short.cleanup)
    near, far = Layout(Path(short.name) / "run"), Layout(tmp_path / ("x" * 90) / "run")
    for layout in (near, far):
        layout.prepare()
        for folder in (layout.root, layout.sockets, layout.logs, layout.environment):
            assert folder.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(layout.sockets / "longest-name-12.sock")) <= 100
    assert near.sockets.parent == near.root
    assert far.sockets.parent != far.root
    far.sockets.rmdir()
