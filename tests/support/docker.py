"""A Docker of the tests' own: a daemon on a socket of its own, over a directory of its own.

Nothing is pulled. Where the Dockerfile says `python`, it gets a Debian with the same Python
commands, made by mmdebstrap; as the daemon is ours alone, its tag stands for that name here only.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import wait_until

_DOCKER = Path("/usr/bin/docker")
_COMPOSE = Path(sys.prefix) / "bin" / "docker-compose"
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PYTHON = "python3,python3-venv,ca-certificates"
_COMPILER = f"{_PYTHON},python3-dev,gcc,libc6-dev"

_AS_PUBLISHED = 'find "$1/usr/lib" -depth -type d -name __pycache__ -exec rm -r {} +'
"""Python's public images come without its library's bytecode."""


class Docker:
    """A daemon that lives as long as this context, and everything that it made."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = f"unix://{directory}/socket"
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        assert os.geteuid() == 0, "Docker is started as root: run these tests with sudo"
        for program in (_DOCKER, Path("/usr/sbin/dockerd"), Path("/usr/bin/mmdebstrap")):
            assert program.exists(), f"{program} is missing: sudo infra/install-debian-packages"
        with (self._directory / "log").open("wb") as log:
            self._daemon = subprocess.Popen(
                [
                    "/usr/sbin/dockerd",
                    f"--host={self._socket}",
                    f"--data-root={self._directory}/data",
                    f"--exec-root={self._directory}/exec",
                    f"--pidfile={self._directory}/pid",
                    # Containers use the machine's loopback, where the tests' servers are, or
                    # networks of their own. Ports are published by a proxy, and the machine's
                    # packet filter, which it may not have, is left alone.
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, f"dockerd; it said {log.name}", seconds=60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._daemon is not None
        self._daemon.terminate()
        self._daemon.wait(timeout=60)
        for mount in Path("/proc/mounts").read_text().splitlines():
            place = mount.split(" ")[1]
            if place.startswith(str(self._directory)):  # the daemon leaves its network namespace
                subprocess.run(["umount", place], check=True)
        shutil.rmtree(self._directory)

    def __call__(self, *argv: str, timeout_seconds: float = 60, check: bool = True) -> str:
        """Run `docker` with these arguments; what it printed. Fails with all it said."""
        done = subprocess.run(
            [_DOCKER, f"--host={self._socket}", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
            timeout=timeout_seconds,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout.strip()

    @property
    def command(self) -> str:
        """How a shell would call it."""
        return f"{_DOCKER} --host={self._socket}"

    def bytes_of(self, image: str) -> int:
        """How large an image is, with all its layers."""
        return int(self("image", "inspect", "--format={{.Size}}", image))

    def make_bases(self, *, compiler: str, runtime: str) -> None:
        """Debians under these names: one that compiles, one that only runs."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._make_base, (compiler, runtime), (_COMPILER, _PYTHON)))

    def make_trusting(self, name: str, base: str) -> None:
        """`base` with the machine's own certificate authorities for its own."""
        folder = self._directory / "trusting"
        folder.mkdir()
        shutil.copy(_CA_BUNDLE, folder / "authorities.pem")
        recipe = f"FROM {base}\nCOPY authorities.pem {_CA_BUNDLE}\n"
        (folder / "Dockerfile").write_text(recipe)
        self("build", f"--tag={name}", str(folder))

    def build(self, folder: Path, tag: str, *options: str, secret: bool = True) -> None:
        """`docker build`, with the machine's own certificate authorities as the `secret`."""
        given = [f"--secret=id=ca,src={_CA_BUNDLE}"] if secret and _CA_BUNDLE.exists() else []
        argv = ["build", "--network=host", "--progress=plain", *given, *options, f"--tag={tag}"]
        self(*argv, str(folder), timeout_seconds=560)

    def compose(self, *argv: str, timeout_seconds: float = 300) -> str:
        """Run Compose with these arguments; what it printed. Fails with all it said."""
        done = subprocess.run(
            [_COMPOSE, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DOCKER_HOST": self._socket},
            timeout=timeout_seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def _make_base(self, name: str, packages: str) -> None:
        suite = subprocess.run(
            ["/bin/sh", "-c", '. /etc/os-release && echo "$VERSION_CODENAME"'],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        archive = self._directory / f"{name.replace(':', '-')}.tar"
        made = subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}"),
                f"--customize-hook={_AS_PUBLISHED}",
                *(suite, archive),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        self("import", str(archive), name, timeout_seconds=120)
        archive.unlink()

    def _answers(self) -> bool:
        assert self._daemon is not None
        assert self._daemon.poll() is None, "dockerd ended by itself"
        return "Server Version" in self("info", check=False)
