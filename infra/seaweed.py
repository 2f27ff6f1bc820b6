"""The embedded object store of `make run` and of the tests: one SeaweedFS process on loopback.

What belongs here is how that process is configured; who starts it also watches and ends it.

Acknowledged objects survive `kill -9` of the process, not a power cut: SeaweedFS writes to the page
cache without fsync. It suits one machine; a province runs a store that somebody operates.
"""

import json
import random
import shutil
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from shared.clock import SystemClock
from shared.storage.sigv4 import Credentials, Signer

_INNER_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
)

_PORTS = range(16384, 32768)

FREE_MIB_MIN = 256
"""Where less is free, it takes no writes, and says so in its log alone."""


@dataclass(frozen=True, slots=True)
class Seaweed:
    """One store: all that it keeps is in `directory`; S3 is served on 127.0.0.1:`port`, and nothing
    else of it elsewhere; `s3_bind` may name another address.

    The access key is its operator's, who may do everything. `users` are others by name, which is
    their access key, with their secrets: they may do what the buckets' policies allow them.

    Ending it takes SIGKILL: on SIGTERM the filer waits 15 s for a subscriber in its own process
    that never leaves. Nothing acknowledged is lost.
    """

    directory: Path
    port: int
    access_key: str
    secret_key: str
    bin: Path
    s3_bind: str = "127.0.0.1"
    users: Mapping[str, str] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def argv(self) -> list[str]:
        """The command to run, from inside `directory`, where it finds what is written here."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # Seven files a bucket, the default, serve many disks; this is one.
        (self.directory / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")
        return [
            str(self.bin),
            "server",
            f"-dir={self.directory}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            # A lone master leads at once; otherwise the first write waits 5 s for the volumes.
            "-master.peers=none",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            "-volume.max=1000",  # each bucket takes at least one of 1 GB, which grows as it fills
            # The default, one percent of the disk, refuses writes on a large laptop disk.
            f"-volume.minFreeSpace={FREE_MIB_MIN}MiB",
            "-s3",
            f"-s3.port={self.port}",
            f"-s3.ip.bind={self.s3_bind}",
            f"-s3.config={self._write_credentials()}",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            # A wrong bucket name is a mistake to report, not a bucket to make.
            "-s3.autoCreateBucket=false",
            *(f"-{name}={port}" for name, port in self._inner_ports().items()),
        ]

    def is_ready(self) -> bool:
        """Whether it answers, and is this store: another on the port would refuse the keys, and
        what is no S3 would list no buckets.
        """
        connection = HTTPConnection("127.0.0.1", self.port, timeout=1)
        headers = Signer("us-east-1").sign(
            "GET",
            "/",
            "",
            {"host": f"127.0.0.1:{self.port}"},
            b"",
            Credentials(self.access_key, self.secret_key),
            SystemClock().now_ms(),
        )
        try:
            connection.request("GET", "/", headers=headers)
            answer = connection.getresponse()
            return answer.status == 200 and b"ListAllMyBucketsResult" in answer.read()
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def remove_sockets(self) -> None:
        """Remove the sockets that a killed process leaves in /tmp, named by port."""
        for port in (self.port, *self._kept_ports().values()):
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - its own choice
                path.unlink(missing_ok=True)

    def _write_credentials(self) -> Path:
        path = self.directory / "s3.json"
        everything = ["Admin", "Read", "List", "Tagging", "Write"]
        identities = [
            _identity("gansu", self.access_key, self.secret_key, everything),
            *(_identity(name, name, secret, []) for name, secret in self.users.items()),
        ]
        path.touch(mode=0o600)
        path.write_text(json.dumps({"identities": identities}))
        return path

    def _inner_ports(self) -> dict[str, int]:
        """Ports between the store's parts: kept from start to start while they are free."""
        kept = self._kept_ports()
        if kept.keys() == set(_INNER_PORTS) and _all_free([self.port, *kept.values()]):
            return kept
        # The S3 port is free as well until the store starts, and may be given once more.
        chosen = [port for port in free_ports(len(_INNER_PORTS) + 1) if port != self.port]
        ports = dict(zip(_INNER_PORTS, chosen, strict=False))
        self._ports_file.write_text(json.dumps(ports))
        return ports

    def _kept_ports(self) -> dict[str, int]:
        kept: dict[str, int] = {}
        if self._ports_file.exists():
            kept = json.loads(self._ports_file.read_text())
        return kept

    @property
    def _ports_file(self) -> Path:
        return self.directory / "ports.json"


def _identity(name: str, access: str, secret: str, actions: list[str]) -> dict[str, object]:
    credentials = [{"accessKey": access, "secretKey": secret}]
    return {"name": name, "credentials": credentials, "actions": actions}


def lack_of_room(directory: Path) -> str | None:
    """Why it would take no writes that are to be kept in `directory`, or None."""
    free_mib = shutil.disk_usage(directory).free >> 20
    if free_mib >= FREE_MIB_MIN:
        return None
    return (
        f"Only {free_mib} MiB are free where {directory} is; the object store takes no writes"
        f" below {FREE_MIB_MIN} MiB."
    )


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on right now, all different.

    They lie below the range that outgoing connections take theirs from (32768 on Linux, 49152
    elsewhere): one of those, made between this choice and its use, would keep the port.
    """
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = random.SystemRandom().choice(_PORTS)
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
    return ports


def _all_free(ports: Iterable[int]) -> bool:
    """Whether all can be listened on at once, so that none stands twice either."""
    with ExitStack() as open_sockets:
        try:
            for port in ports:
                open_sockets.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            return False
    return True
