"""Where a container's replica lives, how one is published, and how a broken one is replaced.

    ‹root›/‹database id›-‹indexes›-‹format›-‹boot id›/
        build.lock          held while one is built
        current             symbolic link to the published folder
        ‹random›/replica.db

The name carries all on which the file's meaning or integrity rests: another journal, other declared
indexes, another table layout or a machine that restarted (the file is not synced to disk) each get
a folder of their own. A replica is built in a fresh folder under an exclusive lock and published
by renaming the link; whoever still holds the old one sees that before its next transaction. It is
never repaired in place.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.clock import Clock
from shared.storage import replica
from shared.storage.catalogue import Catalogue
from shared.storage.replica import Replica, ReplicaBroken

LOCK_SECONDS = 60.0
"""Waiting for another process's build. Past it this one builds its own: that wastes work only."""


def boot_id() -> str:
    """A name for this run of the machine's kernel."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:16]
    except OSError:  # macOS
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"],
            capture_output=True,
            text=True,
            check=True,
        )
        return answer.stdout.strip().replace("-", "").lower()[:16]


class ReplicaDirectory:
    """The folder of one journal's replicas in one container."""

    def __init__(self, root: Path, database_id: str, catalogue: Catalogue, clock: Clock) -> None:
        boot = boot_id()
        name = f"{database_id}-{catalogue.fingerprint()}-{replica.FORMAT}-{boot}"
        self.path = root / name
        self._catalogue = catalogue
        self._clock = clock
        self._link = self.path / "current"
        self.path.mkdir(parents=True, exist_ok=True)
        for other in root.iterdir():
            # What an earlier boot left can never be used again.
            if other.name.startswith(database_id) and not other.name.endswith(boot):
                shutil.rmtree(other, ignore_errors=True)

    def published(self) -> Replica | None:
        """Open the published replica; None where there is none that can be opened."""
        try:
            folder = self.path / self._link.readlink()
            return Replica(folder / "replica.db", self._catalogue, self._clock, link=self._link)
        except (OSError, ReplicaBroken, KeyError, ValueError):
            return None

    def replace(self, broken: Replica | None, build: Callable[[Path], None]) -> Replica:
        """Publish a replica built by `build(path)`, unless another process has already done so.

        `broken` is the one to be replaced, None if there was none.
        """
        with self._lock():
            if broken is not None:
                broken.close()
            found = self.published()
            if found is not None:
                if broken is None or found.path != broken.path:
                    return found
                found.close()
            folder = self.path / self._clock.random(8).hex()
            folder.mkdir()
            try:
                build(folder / "replica.db")
            except BaseException:
                # Opening is tried twice a second: what failed builds leave would fill the disk.
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._publish(folder)
        opened = self.published()
        if opened is None:
            raise ReplicaBroken(f"a replica just built in {folder} cannot be opened")
        return opened

    def _publish(self, folder: Path) -> None:
        staged = self.path / f"{folder.name}.link"
        staged.symlink_to(folder.name)
        staged.replace(self._link)
        for other in self.path.iterdir():
            if other.is_dir() and not other.is_symlink() and other.name != folder.name:
                shutil.rmtree(other, ignore_errors=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # Somebody may have cleared the whole root away.
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "build.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = self._clock.monotonic() + LOCK_SECONDS
        try:
            while self._clock.monotonic() < deadline:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._clock.sleep(0.02)
            yield
        finally:
            os.close(descriptor)
