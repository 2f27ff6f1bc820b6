"""A second real object store for tests: Ceph's RADOS Gateway on loopback, over one directory.

    python -m tests.support.ceph DIRECTORY      bring it up, until Ctrl-C takes it down

One monitor, one manager, one OSD and one gateway, from nothing in some fifteen seconds, as Debian
packages them. All that they keep is in the directory: an OSD of one sparse file, without copies.
Nothing but loopback reaches it, and its secrets are the tests', so it is fit for tests alone.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.seaweed import Seaweed, free_ports
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY
from tests.support.waiting import wait_until

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}
keyring = {directory}/keyring
ms bind ipv4 = true
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {directory}
admin socket = {directory}/$name.asok
log file = {directory}/$name.log
mon cluster log file = {directory}/cluster.log
crash dir = {directory}/crash
# One OSD has nobody to copy to.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
# An OSD may be read while a lease holds that it renews with its copies, 0.8 of this long. Without
# copies, a lease that ended in a frozen OSD is, at times, never renewed: its requests wait for good
# ("waiting for readable", placement groups "laggy").
osd heartbeat grace = 60
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data = {directory}/mon
mon data avail warn = 1
mon data avail crit = 0
mgr data = {directory}/mgr
mgr initial modules =
osd data = {directory}/osd
osd objectstore = bluestore
bluestore block size = {size}
bluestore cache autotune = false
bluestore cache size = 268435456
osd memory target = 939524096
rgw data = {directory}/rgw
# With Nagle's algorithm on, as by default, a GET takes 48 ms.
rgw frontends = beast endpoint=127.0.0.1:{s3} tcp_nodelay=1
rgw enable usage log = false
"""

_OSD_BYTES = 16 << 30

DAEMONS = ("mon", "mgr", "osd", "rgw")
"""In the order in which they start."""


class CephServer:
    """A cluster over `directory`. `kill` and `start` again continue on the same data and port."""

    def __init__(
        self, directory: Path, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY
    ) -> None:
        self.directory = directory.absolute()
        self._mon, self.port = free_ports(2)
        self._fsid = str(uuid.uuid4())
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._configuration = _CONFIGURATION.format(
            fsid=self._fsid,
            mon=self._mon,
            s3=self.port,
            directory=self.directory,
            size=_OSD_BYTES,
        )
        # Whether it answers is asked as SeaweedFS is asked: by listing buckets with these keys.
        self._door = Seaweed(self.directory, self.port, access_key, secret_key, Path())

    @property
    def endpoint(self) -> str:
        return self._door.endpoint

    @property
    def pids(self) -> list[int]:
        """Of the daemons that run."""
        return [process.pid for process in self._running.values()]

    def start(self) -> None:
        """Make the cluster where there is none; start what does not run; return when it answers."""
        programs = ("ceph-mon", "ceph-mgr", "ceph-osd", "radosgw")
        missing = [program for program in programs if shutil.which(program) is None]
        assert not missing, f"{missing} missing: sudo infra/install-debian-packages"
        fresh = not self._conf.exists()
        if fresh:
            self._make()
        for name in DAEMONS:
            if fresh and name == "rgw":
                # A gateway that starts beside its user's making would race it for the pools.
                self._make_user()
            self.start_daemon(name)
        wait_until(self._answers, f"Ceph; its logs are in {self.directory}", seconds=120)

    def start_daemon(self, name: str) -> None:
        """Start one of `DAEMONS`, if it does not run."""
        if name in self._running:
            return
        with (self.directory / f"{name}.out").open("ab") as out:
            self._running[name] = subprocess.Popen(
                # Whoever is killed without taking it down takes it along.
                ["setpriv", "--pdeathsig", "KILL", *self._program(name), "--foreground"],
                stdout=out,
                stderr=out,
                env=_environment(),
            )

    def kill_daemon(self, name: str) -> None:
        """SIGKILL to one of `DAEMONS`."""
        process = self._running.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """SIGKILL to all, the gateway first."""
        for name in reversed(DAEMONS):
            self.kill_daemon(name)

    def kill_some(self, chance: random.Random) -> None:
        """SIGKILL to the gateway, the OSD or the monitor, or to all."""
        victim = chance.choice(("rgw", "osd", "mon", "all"))
        if victim == "all":
            self.kill()
        else:
            self.kill_daemon(victim)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP to all for the block."""
        for process in self._running.values():
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in self._running.values():
                process.send_signal(signal.SIGCONT)

    @property
    def _conf(self) -> Path:
        return self.directory / "ceph.conf"

    def _make(self) -> None:
        for name in ("mon", "mgr", "osd", "rgw", "crash"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        self._conf.write_text(self._configuration)
        keyring = str(self.directory / "keyring")
        for name in ("mon.", "mgr.a", "osd.0", "client.admin", "client.rgw"):
            caps = [part for kind in ("mon", "mgr", "osd") for part in ("--cap", kind, "allow *")]
            new = [] if Path(keyring).exists() else ["--create-keyring"]
            self._run("ceph-authtool", keyring, *new, "--gen-key", "--name", name, *caps)
        monmap = str(self.directory / "monmap")
        where = f"[v2:127.0.0.1:{self._mon}/0]"
        self._run("monmaptool", "--create", "--addv", "a", where, "--fsid", self._fsid, monmap)
        self._run("ceph-mon", "--id", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)
        self.start_daemon("mon")
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd, "0")
        self._run("ceph-osd", "--id", "0", "--mkfs", "--osd-uuid", osd)

    def _make_user(self) -> None:
        self.add_user("test", self._door.access_key, self._door.secret_key)

    def add_user(self, name: str, access_key: str, secret_key: str, *more: str) -> None:
        """Make a further user, as a cluster's operator does; `more` as radosgw-admin has it."""
        self._run(
            *("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}"),
            *(f"--access-key={access_key}", f"--secret-key={secret_key}", *more),
        )

    def _program(self, name: str) -> list[str]:
        who = {
            "mon": ("ceph-mon", "--id", "a"),
            "mgr": ("ceph-mgr", "--id", "a"),
            "osd": ("ceph-osd", "--id", "0"),
            "rgw": ("radosgw", "--name", "client.rgw"),
        }
        return [*who[name], "--conf", str(self._conf)]

    def _run(self, *command: str) -> None:
        subprocess.run(
            [*command, "--conf", str(self._conf)],
            check=True,
            timeout=90,
            capture_output=True,
            env=_environment(),
        )

    def _answers(self) -> bool:
        for name, process in self._running.items():
            assert process.poll() is None, f"Ceph's {name} ended by itself; see {self.directory}"
        return self._door.is_ready()


def _environment() -> dict[str, str]:
    """Nothing of the machine's own Ceph, should there be one."""
    return {key: value for key, value in os.environ.items() if not key.startswith("CEPH_")}


def main() -> None:
    [directory] = sys.argv[1:] or sys.exit(__doc__)
    server = CephServer(Path(directory))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.start()
        print(f"{server.endpoint}  access key {ACCESS_KEY}  secret key {SECRET_KEY}", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
    finally:
        server.kill()


if __name__ == "__main__":
    main()
