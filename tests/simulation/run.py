"""One simulated history from its seed: clients shop in rough weather, then calm; then a verdict.

Ten or so clients work through their operations. Whoever gets no definite answer asks again with the
same key, here or elsewhere, until there is one. When the time of trouble is over every operation
has to come to its end, and every replica, however it got there, has to be what the journal says.
"""

import gc
import hashlib
import logging
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.clock import SystemClock
from shared.errors import BUSY, NOT_FOUND, Refused
from shared.storage.access import FRESH, Claim, Committed, Document, Freshness
from shared.storage.database import JournalDatabase
from shared.storage.idempotency import with_rows
from shared.storage.memory import MemoryStore
from shared.storage.reader import ReplicaBroken
from shared.storage.reads import probe
from shared.storage.replica import Replica, build
from shared.storage.segments import SegmentDamaged, proven, stored_segments
from tests.simulation.checker import check
from tests.simulation.cluster import PREFIX, Cluster, Server, Storm
from tests.simulation.history import Attempt, History, Reading
from tests.simulation.machine import installed
from tests.simulation.scheduler import Scheduler, Stuck
from tests.simulation.shop import CATALOGUE, Cancel, Glance, Look, Note, Operation, Restock, Sell
from tests.support.clock import NEW_YEAR_MS

STEPS = 20_000
"""Turns of threads before the trouble ends, if the clients have not ended before."""

CALM_SECONDS = 600.0
CALM_STEPS = 300_000
"""Within which everything has to come to its end once the trouble is over."""

PATIENCE_SECONDS = 25.0
"""A phone's."""

MEMORY = Path("/dev/shm")


@dataclass(slots=True)
class Outcome:
    """What became of one seed."""

    seed: int
    faults: list[str]
    lines: list[str]
    operations: int
    entries: int
    happened: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    """Of everything that was said and stored: equal where a seed replays exactly."""


def simulate(seed: int, steps: int = STEPS) -> Outcome:
    """Run and judge one history.

    Without the collector of cycles: what it finds, it finalises in whatever task happens to run,
    which may then wait for threads of another process; and when it comes depends on all that ran
    before, not on the seed.
    """
    was_disabled, was_collecting = logging.root.manager.disable, gc.isenabled()
    logging.disable(logging.CRITICAL)
    gc.disable()
    gc.freeze()  # so that only what this history made is looked through after it
    try:
        return _simulated(seed, steps)
    finally:
        gc.collect()
        gc.unfreeze()
        if was_collecting:
            gc.enable()
        logging.disable(was_disabled)


def _simulated(seed: int, steps: int) -> Outcome:
    root = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None))
    here = Scheduler(seed)
    try:
        with installed(here):
            simulation = _Simulation(here, root, seed)
            try:
                return simulation.run(steps)
            finally:
                simulation.cluster.power_off()
    finally:
        shutil.rmtree(root, ignore_errors=True)


class _Simulation:
    def __init__(self, here: Scheduler, root: Path, seed: int) -> None:
        self.here = here
        self.seed = seed
        self.history = History()
        self.cluster = Cluster(here, root, self._say, Storm.brewed(here))
        self._numbers = 0
        self._keys: Counter[str] = Counter()
        """Clients count their own keys, so that many have the same."""
        random = here.random
        self._products = [f"product_{n}" for n in range(random.randint(1, 3))]
        self._sold: list[str] = []
        self._busy = random.randint(2, 16)
        self._thinking_seconds = random.choice([0.01, 0.1, 0.5])
        self._scarce = random.choice([3, 10, 100])
        for n in range(self._busy):
            here.spawn(self._client(f"client {n}"), None, f"client {n}")

    def _say(self, who: str, what: object) -> None:
        self.history.say(self.here.now, who, what)

    def run(self, steps: int) -> Outcome:
        faults: list[str] = []
        try:
            self.here.run(
                lambda: self._busy == 0 or self.here.steps >= steps,
                seconds=float("inf"),
                steps=10 * steps,
            )
            self._say("", "calm")
            self.cluster.calm_down()
            self.here.run(self._is_calm, seconds=CALM_SECONDS, steps=CALM_STEPS)
            if not check(self.cluster.stored(), self.history):
                faults += self._compare_replicas()
        except Stuck as stuck:
            faults.append(str(stuck))
        stored = self.cluster.stored()
        faults += self.here.failures + check(stored, self.history) + self._check_segments(stored)
        said = "\n".join(self.history.lines).encode()
        return Outcome(
            self.seed,
            faults,
            self.history.lines,
            len(self.history.attempts) + len(self.history.readings),
            len(stored),
            self.cluster.happened + self.cluster.weather.seen,
            hashlib.sha256(said + b"".join(stored)).hexdigest(),
        )

    def _is_calm(self) -> bool:
        return self._busy == 0 and all(server.alive for server in self.cluster.servers)

    # Clients

    def _client(self, name: str) -> Callable[[], None]:
        def work() -> None:
            for _ in range(self.here.random.randint(2, 8)):
                self.here.sleep(self.here.random.expovariate(1 / self._thinking_seconds))
                if self.here.random.random() < 0.3:
                    self._look(name)
                else:
                    self._do(name, self._operation(name))
            self._busy -= 1

        return work

    def _operation(self, name: str) -> Operation:
        random = self.here.random
        self._numbers += 1
        product = random.choice(self._products)
        kind = random.random()
        if kind < 0.2 or self._numbers <= len(self._products):
            return Restock(self._numbers, product, random.randint(1, self._scarce))
        if kind < 0.3 and self._sold:
            return Cancel(self._numbers, random.choice(self._sold))
        if kind < 0.4:
            return Note(self._numbers, random.choice("xy"))
        # Some are asked for when it is nearly too late.
        until_ms = NEW_YEAR_MS + int(self.here.now * 1000) + random.choice([300, 3_000, 1 << 40])
        sale = Sell(self._numbers, name, product, random.randint(1, 3), until_ms)
        self._sold.append(sale.key)
        return sale

    def _do(self, name: str, operation: Operation) -> None:
        at_work: list[Server] = []
        self._keys[name] += 1
        claim = Claim(name, "operate", f"key {self._keys[name]}", digest=str(operation.number))
        while True:
            attempt = self._attempt(name, operation, claim, at_work)
            definite = attempt.outcome in ("done", "refused")
            if definite or not operation.claimed:
                return
            self.here.sleep(self.here.random.expovariate(1.0))

    def _attempt(
        self, name: str, operation: Operation, claim: Claim, at_work: list[Server]
    ) -> Attempt:
        """Ask once. `at_work` are the processes that have not ended with it."""
        server = self.here.random.choice(self.cluster.servers)
        alone = not any(each.alive for each in at_work)
        attempt = Attempt(operation, server.name, self.history.told)
        self.history.attempts.append(attempt)
        self._say(name, f"→ {server.name}  #{operation.number} {operation}")

        def carry_out(database: JournalDatabase) -> None:
            self._carry_out(database, claim, attempt)
            at_work.remove(server)

        at_work.append(server)
        heard = False
        with suppress(ConnectionError):
            server.ask(carry_out, PATIENCE_SECONDS)()
            heard = True
        if self.here.random.random() < 0.05 and operation.claimed:
            # The answer is lost on its way to the phone. It was given, so it must stay true.
            self._say(name, f"#{operation.number} hears nothing")
            return Attempt(operation, server.name, 0)
        # A process that took too long may yet refuse what nobody waits for: it is asked again.
        attempt.final = alone and heard
        told = f" {attempt.slug or attempt.row or ''}"
        self._say(name, f"← #{operation.number} {attempt.outcome}{told} at {attempt.seq}")
        return attempt

    def _carry_out(self, database: JournalDatabase, claim: Claim, attempt: Attempt) -> None:
        operation = attempt.operation
        try:
            committed = _committed(database, claim, operation)
        except Refused as refused:
            attempt.outcome = "busy" if refused.problem is BUSY else "refused"
            attempt.slug = refused.problem.slug
        else:
            attempt.outcome, attempt.seq = "done", committed.seq
            attempt.row = (committed.value.key, committed.value.body)
            self.history.tell(self.here.now, committed.seq)
        attempt.ceiling = self.cluster.head()

    def _look(self, name: str) -> None:
        random = self.here.random
        server = random.choice(self.cluster.servers)
        look = random.choice((Look, Glance))(name, random.choice(self._products))
        how = random.choice(["fresh", "fresh", "recent", "at least"])
        reading = Reading(look, server.name, self._floor(how), how)
        freshness = {
            "fresh": FRESH,
            "recent": Freshness(bound_seconds=1.0),
            "at least": Freshness(at_least_seq=reading.floor),
        }[how]

        def read(database: JournalDatabase) -> None:
            try:
                answer = look.ask(database, freshness)
            except Refused as refused:
                if refused.problem is not NOT_FOUND:
                    raise
                # What was not there when it was asked for was not there at any earlier state.
                answer = Committed([], reading.floor)
            reading.rows, reading.seq = answer.value, answer.seq
            self.history.tell(self.here.now, answer.seq)
            self.history.readings.append(reading)

        try:
            server.ask(read, PATIENCE_SECONDS)()
        except (ConnectionError, Refused) as error:
            self._say(name, f"{server.name} does not say: {error!r}")
        else:
            said = f"{server.name} says {reading.rows} as of {reading.seq} ({how})"
            self._say(name, f"{look}: {said}")

    def _floor(self, how: str) -> int:
        if how == "recent":
            return self.history.told_by(self.here.now - 1.0)
        return self.history.told

    # The end

    def _check_segments(self, stored: list[bytes]) -> list[str]:
        """Every segment that there is, against the entries that it says to hold."""
        faults = []
        store = MemoryStore(self.cluster.bucket)
        for segment in stored_segments(store, PREFIX, 1):
            self.cluster.happened[f"segment of level {segment.level} made"] += 1
            try:
                cut = proven(store, segment, lambda seq: stored[seq - 1])
            except SegmentDamaged as error:
                faults.append(f"segment {segment.key} {error}")
            else:
                entries = list(cut.entries(segment.first, segment.last))
                if entries != stored[segment.first - 1 : segment.last]:
                    faults.append(f"segment {segment.key} holds other entries")
        return faults

    def _compare_replicas(self) -> list[str]:
        """Every process's replica against one that only the journal made."""
        path = self.cluster.root / "replayed.db"
        catalogue = with_rows(CATALOGUE)
        build(path, catalogue, "replayed")
        replayed = Replica(path, catalogue, SystemClock())
        for seq, stored in enumerate(self.cluster.stored(), 1):
            replayed.apply(stored, seq)
        with replayed.reading() as reader:
            expected = list(reader.dump())
        replayed.close()
        return [
            fault for server in self.cluster.servers for fault in self._compare(server, expected)
        ]

    def _compare(self, server: Server, expected: list[Any]) -> list[str]:
        found: list[Any] = []

        def ask() -> None:
            while not found:
                try:
                    found.append(server.ask(_dump, PATIENCE_SECONDS)())
                except (Refused, ReplicaBroken):  # it has just failed to open, or is replaced
                    self.here.sleep(1.0)

        self.here.spawn(ask, None, f"comparing {server.name}")
        self.here.run(lambda: bool(found), seconds=CALM_SECONDS, steps=CALM_STEPS)
        if found == [expected]:
            return []
        return [f"the replica of {server.name} is not what the journal says"]


def _dump(database: JournalDatabase) -> list[Any]:
    parts = database._opened()
    probe(parts.follower)
    used = parts.follower.replica
    try:
        with used.reading() as reader:
            return list(reader.dump())
    except (ReplicaBroken, sqlite3.Error) as error:
        parts.follower.renew(used)
        raise ReplicaBroken("it is replaced") from error


def _committed(
    database: JournalDatabase, claim: Claim, operation: Operation
) -> Committed[Document]:
    if not operation.claimed:
        return database.transact(operation.change())
    return database.transact_once(claim, operation.change())
