"""Containers, their processes, and what happens to them."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryBucket
from shared.storage.snapshot import vacuum_into
from tests.simulation.machine import MachineClock, Process
from tests.simulation.scheduler import Scheduler, Waiters
from tests.simulation.shop import CATALOGUE
from tests.simulation.store import FAULTS, SimulatedStore, Weather
from tests.support.clock import NEW_YEAR_MS

PREFIX = "shop/"
JOURNAL = f"{PREFIX}journal/"


class StoreClock:
    """The object store's own."""

    def __init__(self, here: Scheduler) -> None:
        self._scheduler = here

    def now_ms(self) -> int:
        return NEW_YEAR_MS + int(self._scheduler.now * 1000)

    def monotonic(self) -> float:
        return self._scheduler.now

    def cpu(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a store waits for nothing")

    def random(self, size: int) -> bytes:
        raise AssertionError("a store draws nothing")


@dataclass(slots=True)
class Call:
    """A request in a process: over when `answer` is there, or when the process is gone."""

    waiters: Waiters = field(default_factory=Waiters)
    answer: Callable[[], Any] | None = None


class Server(Process):
    """One process, with a database of its own."""

    def __init__(self, name: str, container: "Container") -> None:
        super().__init__(name)
        self.container = container
        self.calls: list[Call] = []
        cluster = container.cluster
        store = SimulatedStore(cluster.here, cluster.bucket, cluster.weather, container.clock)
        self.database = JournalDatabase(
            store,
            CATALOGUE,
            prefix=PREFIX,
            directory=container.root,
            clock=container.clock,
            writer=name,
        )

    def kill(self) -> None:
        super().kill()
        for call in self.calls:
            self.container.cluster.here.wake(call.waiters)

    def ask(self, work: Callable[[JournalDatabase], Any], patience: float) -> Callable[[], Any]:
        """Have a thread of this process do `work`; what gives or raises its outcome.

        Raises ConnectionError where the process dies, is dead, or takes too long.
        """
        here = self.container.cluster.here
        call = Call()

        def serve() -> None:
            try:
                value = work(self.database)
            except Exception as error:  # noqa: BLE001 - it is the client's to see
                call.answer = _raising(error)
            else:
                call.answer = lambda: value
            here.wake(call.waiters)

        if not self.alive:
            raise ConnectionError("refused")
        self.calls.append(call)
        here.spawn(serve, self, f"{self.name} request")
        here.block(call.waiters, patience)
        self.calls.remove(call)
        if call.answer is None:
            raise ConnectionError("lost")
        return call.answer


def _raising(error: Exception) -> Callable[[], Any]:
    def again() -> Any:
        raise error

    return again


class Container:
    """One container: a clock, a disk, some processes."""

    def __init__(self, cluster: "Cluster", name: str, processes: int) -> None:
        self.cluster = cluster
        self.name = name
        self.root = cluster.root / name
        self.root.mkdir()
        self.clock = MachineClock(cluster.here, cluster.here.random.random() * 1000)
        self.servers: list[Server] = []
        self._started = 0
        self._kept: Path | None = None
        for _ in range(processes):
            self.servers.append(self._start())

    def _start(self) -> Server:
        self._started += 1
        return Server(f"{self.name}.{self._started}", self)

    def replace(self, server: Server) -> None:
        """Start a process in a dead one's place; on what is left of the disk, if all are dead."""
        if not any(each.alive for each in self.servers):
            self._happen_to_disk()
        place = self.servers.index(server)
        self.servers[place] = self._start()
        self.cluster.say(self.servers[place].name, "starts")

    def _happen_to_disk(self) -> None:
        random = self.cluster.here.random
        fate = random.choice(["intact", "intact", "gone", "truncated", "stale"])
        replicas = sorted(self.root.rglob("replica.db"))
        if fate == "intact" or not replicas:
            return
        self.cluster.happened[f"replica {fate}"] += 1
        self.cluster.say(self.name, f"finds its replica {fate}")
        if fate == "gone":
            shutil.rmtree(self.root)
            self.root.mkdir()
            return
        for path in replicas:
            for beside in (Path(f"{path}-wal"), Path(f"{path}-shm")):
                beside.unlink(missing_ok=True)
            if fate == "truncated":
                body = path.read_bytes()
                path.write_bytes(body[: random.randrange(len(body) + 1)])
            elif self._kept is not None:
                shutil.copy(self._kept, path)

    def keep_copy(self) -> None:
        """Remember the replica as it is now, to be found again after a crash."""
        parts = [each.database._parts for each in self.servers if each.alive]
        # Only one that is in use: what has just been truncated is no older replica.
        used = next((part.follower.replica for part in parts if part is not None), None)
        if used is None or not used.path.exists() or used.log.size() == 0:
            return
        copy = self.cluster.root / f"{self.name}-kept.db"
        copy.unlink(missing_ok=True)
        vacuum_into(used.path, copy)
        kept = sqlite3.connect(copy)
        kept.execute("PRAGMA journal_mode = WAL")
        kept.close()
        self._kept = copy


@dataclass(frozen=True, slots=True)
class Storm:
    """How rough a history is: odds a point that a process dies or stands still, and what else."""

    crash: float
    freeze: float
    clocks: bool
    disks: bool
    faults: dict[str, float]
    latency_seconds: float

    @staticmethod
    def brewed(here: Scheduler) -> "Storm":
        """A mixture of a few troubles: all at once would hide what one of them alone does."""
        random = here.random
        faults = {
            fault: random.choice([0.01, 0.05, 0.15])
            for fault in random.sample(FAULTS, random.randint(0, 5))
        }
        return Storm(
            crash=random.choice([0, 0, 0.0005, 0.004]),
            freeze=random.choice([0, 0, 0.0005, 0.004]),
            clocks=random.random() < 0.3,
            disks=random.random() < 0.1,
            faults=faults,
            latency_seconds=random.choice([0.001, 0.005, 0.05]),
        )


class Cluster:
    """All containers on one bucket."""

    def __init__(
        self, here: Scheduler, root: Path, say: Callable[[str, object], None], storm: Storm
    ) -> None:
        self.here = here
        self.root = root
        self.say = say
        self.storm = storm
        self.bucket = MemoryBucket(StoreClock(here))
        self.weather = Weather(latency_seconds=storm.latency_seconds)
        self.happened: Counter[str] = Counter()
        self._head = 0
        self.rough = True
        random = here.random
        self.containers = [
            Container(self, name, random.randint(1, 3)) for name in "abc"[: random.randint(1, 3)]
        ]
        here.on_point = self._at
        here.spawn(self._troubles, None, "troubles")

    @property
    def servers(self) -> list[Server]:
        return [server for container in self.containers for server in container.servers]

    def stored(self) -> list[bytes]:
        """The journal's objects, in order."""
        found: list[bytes] = []
        after = ""
        while page := self.bucket.list(JOURNAL, after, 1000):
            found += [self.bucket.get(info.key) for info in page]
            after = page[-1].key
        return found

    def head(self) -> int:
        """How many entries are stored."""
        while self.bucket.list(f"{JOURNAL}{self._head + 1:020d}", "", 1):
            self._head += 1
        return self._head

    # What happens

    def _at(self, point: str) -> None:
        owner = self.here.task.owner
        if not self.rough or not isinstance(owner, Server):
            return
        draw = self.here.random.random()
        if draw < self.storm.crash:
            self.happened[f"crash at {point}"] += 1
            self.say(owner.name, f"dies at {point}")
            owner.kill()
            self._revive(owner, self.here.random.expovariate(1.0))
        elif draw < self.storm.crash + self.storm.freeze:
            seconds = self.here.random.expovariate(1 / 3.0)
            self.happened[f"freeze at {point}"] += 1
            self.say(owner.name, f"stands still at {point} for {seconds:.1f} s")
            owner.frozen_until = self.here.now + seconds

    def _revive(self, server: Server, seconds: float) -> None:
        # Whoever is dead when all of a container are, comes back to a disk that may have suffered.
        self.here.after(seconds, lambda: server.container.replace(server))

    def _troubles(self) -> None:
        """Change the weather, set clocks, power containers off."""
        random = self.here.random
        while self.rough:
            kind = random.choice(["calm", "storm", "storm", "blackout"])
            if kind == "calm":
                self.weather.odds = {}
            elif kind == "storm":
                self.weather.odds = dict(self.storm.faults)
            elif self.storm.faults and random.random() < 0.3:
                self.weather.odds = {random.choice(list(self.storm.faults)): 1.0}
                self.say("store", f"nothing but {next(iter(self.weather.odds))}")
            container = random.choice(self.containers)
            if self.storm.clocks:
                self._set_clock(container)
            if self.storm.disks:
                self._fill_disk(container, full=random.random() < 0.5)
            if self.storm.crash:
                container.keep_copy()
                if random.random() < 0.2:
                    self._power_off(container)
            self.here.sleep(random.expovariate(1 / 4.0))

    def _set_clock(self, container: Container) -> None:
        random = self.here.random
        container.clock.ahead_ms = random.choice([0, 0, 4_000, -4_000, 20_000, -20_000, 90_000])
        self.happened["clock set"] += 1
        self.say(container.name, f"has its clock {container.clock.ahead_ms / 1000:+.0f} s off")

    def _fill_disk(self, container: Container, *, full: bool) -> None:
        self.happened["disk full"] += full
        self.say(container.name, f"has {'a full' if full else 'room on its'} disk")
        for server in container.servers:
            server.disk_is_full = full

    def _power_off(self, container: Container) -> None:
        self.happened["container killed"] += 1
        self.say(container.name, "dies as a whole")
        seconds = self.here.random.expovariate(1.0)
        for server in container.servers:
            if server.alive:
                server.kill()
                self._revive(server, seconds)

    def power_off(self) -> None:
        """End every process."""
        for server in self.servers:
            if server.alive:
                server.kill()

    def calm_down(self) -> None:
        """No more trouble: what is dead comes back, what is frozen goes on, clocks are right."""
        self.rough = False
        self.weather.clear_up()
        for container in self.containers:
            container.clock.ahead_ms = 0
            for server in container.servers:
                server.frozen_until = self.here.now
                server.disk_is_full = False
