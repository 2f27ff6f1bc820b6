"""Where a container's replica lives, how one is published, and how a broken one is replaced.

    ‹root›/‹database id›-‹indexes›-‹format›-‹boot id›/
        build.lock          held while one is built
        in-use              held by every process that uses the folder, for as long as it lives
        current             symbolic link to the published folder
        ‹random›/replica.db

The name carries all on which the file's meaning or integrity rests: another journal, other declared
indexes, another table layout or a machine that restarted (the file is not synced to disk) each get
a folder of their own. A replica is built in a fresh folder under an exclusive lock and published
by renaming the link; whoever still holds the old one sees that before its next transaction. It is
never repaired in place.

Of the folders that other releases left, the one that was begun last stays for a way back, and so
does whatever a living process holds; the others go. What an earlier boot left goes, too.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.clock import Clock
from shared.storage import replica
from shared.storage.catalogue import Catalogue
from shared.storage.reader import ReplicaBroken
from shared.storage.replica import Replica

LOCK_SECONDS = 60.0
"""Waiting for another process's build. Past it this one builds its own, lest a frozen builder stop
everyone; if another was published meanwhile, it is used and the own one dropped."""

IN_USE = "in-use"

_HELD_SECONDS = 2.0
"""For so long a folder is tried to be held: who removes one has it in hand for a moment. Not to
hold it costs no more than the replica, which is built again."""


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
        others = [
            other
            for other in root.iterdir()
            if other.name.startswith(database_id) and other != self.path
        ]
        for other in others:
            # What an earlier boot left can never be used again.
            if not other.name.endswith(boot):
                shutil.rmtree(other, ignore_errors=True)
        for other in sorted(filter(_begun_at, others), key=_begun_at)[:-1]:
            self._remove_unused(other)
        self._held = self._hold()

    def close(self) -> None:
        """Let others remove it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _hold(self) -> int | None:
        """Hold the folder; None where that cannot be done."""
        deadline = self._clock.monotonic() + _HELD_SECONDS
        with suppress(OSError):
            while self._clock.monotonic() < deadline:
                self.path.mkdir(parents=True, exist_ok=True)
                lock = os.open(self.path / IN_USE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if self._got(lock):
                    os.utime(lock)
                    return lock
                os.close(lock)
                self._clock.sleep(0.01)
        return None

    def _got(self, lock: int) -> bool:
        """Whether the lock is held, and still that of the folder by its name."""
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(lock), (self.path / IN_USE).stat())
        except OSError:
            return False

    def _remove_unused(self, other: Path) -> None:
        gone = other.with_name(f"{other.name}-unused-{self._clock.random(4).hex()}")
        try:
            lock = os.open(other / IN_USE, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # At once: who begins to use it now finds none by its name, and makes another.
            other.rename(gone)
        except OSError:
            return
        finally:
            os.close(lock)
        shutil.rmtree(gone, ignore_errors=True)

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
        with self._lock() as alone:
            if broken is not None:
                broken.close()
            found = self._published_but(broken)
            if found is not None:
                return found
            folder = self.path / self._clock.random(8).hex()
            folder.mkdir()
            try:
                build(folder / "replica.db")
            except BaseException:
                # Opening is tried twice a second: what failed builds leave would fill the disk.
                shutil.rmtree(folder, ignore_errors=True)
                raise
            found = None if alone else self._published_but(broken)
            if found is not None:
                shutil.rmtree(folder, ignore_errors=True)
                return found
            self._publish(folder)
            if alone:
                self._remove_all_but(folder)
        opened = self.published()
        if opened is None:
            raise ReplicaBroken(f"a replica just built in {folder} cannot be opened")
        return opened

    def _published_but(self, broken: Replica | None) -> Replica | None:
        """The published replica, unless it is the broken one, which is not opened again: its file
        may have been exchanged, and SQLite would cut short the memory that the others share.
        """
        if broken is not None and _leads_to(self._link, broken.path.parent.name):
            return None
        return self.published()

    def _publish(self, folder: Path) -> None:
        staged = self.path / f"{folder.name}.link"
        staged.symlink_to(folder.name)
        staged.replace(self._link)

    def _remove_all_but(self, folder: Path) -> None:
        for other in self.path.iterdir():
            if other.is_dir() and not other.is_symlink() and other.name != folder.name:
                shutil.rmtree(other, ignore_errors=True)

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """Hold the build's lock; False where another still holds it after `LOCK_SECONDS`."""
        # Somebody may have cleared the whole root away.
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "build.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = self._clock.monotonic() + LOCK_SECONDS
        alone = False
        try:
            while not alone and self._clock.monotonic() < deadline:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    alone = True
                except BlockingIOError:
                    self._clock.sleep(0.02)
            yield alone
        finally:
            os.close(descriptor)


def _begun_at(folder: Path) -> float:
    """When a process last began to use a folder; 0 where it does not say."""
    try:
        return (folder / IN_USE).stat().st_mtime
    except OSError:
        return 0.0


def _leads_to(link: Path, name: str) -> bool:
    """Whether a symbolic link holds `name`."""
    try:
        return str(link.readlink()) == name
    except OSError:
        return False
