"""What all measurements share: the store, the peer's servers, how long a round lasts, and a voice.

    with opened(quick=False) as lab:
        ...

Nothing outlives the block: processes are ended, directories removed.
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from bench import peer
from bench.postgres import Postgres
from shared.storage.s3 import S3Address
from tests.support.seaweed import SeaweedServer, new_bucket

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often is measured, how many ways are tried before, what is left out."""

    search_seconds: float
    round_seconds: float
    rounds: int
    shapes_max: int
    flushed: bool
    windows: int
    """Of ten seconds, in a round of which fairness is asked."""


FULL = Pace(
    search_seconds=1.0, round_seconds=3.0, rounds=3, shapes_max=100, flushed=True, windows=3
)
QUICK = Pace(
    search_seconds=0.5, round_seconds=1.0, rounds=1, shapes_max=1, flushed=False, windows=1
)


@dataclass(slots=True)
class Lab:
    """A run's surroundings. `postgres` does not wait for the disk, as SeaweedFS does not."""

    pace: Pace
    folder: Path
    seaweed: SeaweedServer
    postgres: Postgres
    began: float

    @property
    def store_pid(self) -> int:
        """SeaweedFS's process."""
        process = self.seaweed.process
        return 0 if process is None else process.pid

    def bucket(self, *, synced: bool = False) -> S3Address:
        """A fresh bucket; `synced` has the store flush each object before it answers."""
        address = new_bucket(self.seaweed)
        if synced:
            _flush_each(self.seaweed, address.bucket)
        return address

    def directory(self, name: str) -> Path:
        """A fresh directory."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def say(self, what: str) -> None:
        """One line of progress."""
        print(f"{time.monotonic() - self.began:5.0f} s  {what}", flush=True)

    def alternate(self, *measures: Callable[[], T], warm: bool = True) -> list[list[T]]:
        """Each measure's results, taken in turns: the first of all, the second of all, …

        What is not `warm` is asked once before: connections are made, caches filled.
        """
        if not warm:
            for measure in measures:
                measure()
        found: list[list[T]] = [[] for _ in measures]
        for _ in range(self.pace.rounds):
            for results, measure in zip(found, measures, strict=True):
                results.append(measure())
        return found


@contextmanager
def opened(pace: Pace) -> Iterator[Lab]:
    """Start the store and the peer; end them with the block."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        seaweed = SeaweedServer(folder / "store")
        stack.callback(seaweed.stop)
        seaweed.start()
        postgres = stack.enter_context(seeded_postgres(synced=False))
        yield Lab(pace, folder, seaweed, postgres, time.monotonic())


@contextmanager
def seeded_postgres(*, synced: bool) -> Iterator[Postgres]:
    """The peer's server with all the goods in it."""
    postgres = Postgres(synced=synced)
    try:
        postgres.start()
        peer.seed(postgres.url)
        yield postgres
        peer.audit(postgres.url)
    finally:
        postgres.stop()


def middle(values: list[T], of: Callable[[T], float]) -> float:
    """The median of one figure of several rounds."""
    return median(of(value) for value in values)


def _flush_each(seaweed: SeaweedServer, bucket: str) -> None:
    """Have SeaweedFS call fsync on its volume for every object of a bucket."""
    commands = f"fs.configure -locationPrefix=/buckets/{bucket} -fsync -apply\nexit\n"
    said = subprocess.run(
        _shell(seaweed), input=commands, text=True, check=True, capture_output=True
    )
    if '"fsync":  true' not in said.stdout:
        raise RuntimeError(f"SeaweedFS did not take the setting: {said.stdout}{said.stderr}")


def _shell(seaweed: SeaweedServer) -> list[str]:
    kept = (seaweed.seaweed.directory / "ports.json").read_text(encoding="utf-8")
    ports: dict[str, int] = json.loads(kept)
    return [
        str(seaweed.seaweed.bin),
        "shell",
        f"-master=127.0.0.1:{ports['master.port']}.{ports['master.port.grpc']}",
        f"-filer=127.0.0.1:{ports['filer.port']}.{ports['filer.port.grpc']}",
    ]
