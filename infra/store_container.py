"""The object store as the one program of a container: `python -m infra.store_container ‹folder›`.

SeaweedFS as `make run` has it, with S3 on all of the container's addresses, and nothing else of it:
its other doors ask for no credentials. With `--ready` it says by its exit status whether the store
of this container answers. Both read GANSU_STORE_ACCESS_KEY and GANSU_STORE_SECRET_KEY, which are
its operator's.

`--users ‹folder›` has two files for each program, `‹program›_store_access_key` and `…_secret_key`.
They may do what the buckets' policies say, which is nothing until there are any
(`python -m infra.provision --store seaweedfs --policies`).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from infra.seaweed import Seaweed
from shared import terminal
from shared.settings import SettingsError, load_store

PORT = 8333

_ACCESS, _SECRET = "_store_access_key", "_store_secret_key"


def main(arguments: Sequence[str]) -> int:
    """Become the store, or look at it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.store_container")
    parser.add_argument("folder", type=Path, help="where everything is kept")
    parser.add_argument("--ready", action="store_true", help="whether the store answers")
    parser.add_argument("--users", type=Path, help="where the programs' credentials are")
    options = parser.parse_args(arguments)
    try:
        settings = load_store({})
        users = users_in(options.users) if options.users else {}
    except (SettingsError, OSError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 2
    store = Seaweed(
        directory=options.folder,
        port=PORT,
        access_key=settings.store_access_key,
        secret_key=settings.store_secret_key,
        bin=Path(sys.prefix) / "bin" / "weed",
        users={key: users[key] for key in users if key != settings.store_access_key},
    )
    if not options.ready:
        become(replace(store, s3_bind="0.0.0.0"))  # noqa: S104 - a container's own network
    return 0 if store.is_ready() else 1


def users_in(folder: Path) -> dict[str, str]:
    """Secrets by access key. Raises OSError where half of a pair is missing, and ValueError where
    a file is empty or one access key has two secrets.
    """
    users: dict[str, str] = {}
    for file in sorted(folder.glob(f"*{_ACCESS}")):
        other = file.with_name(f"{file.name.removesuffix(_ACCESS)}{_SECRET}")
        access, secret = (path.read_text(encoding="utf-8").strip() for path in (file, other))
        if not access or not secret:
            raise ValueError(f"{file} or {other} is empty")
        if users.setdefault(access, secret) != secret:
            raise ValueError(f"{file} has a key that another program has with another secret")
    return users


def become(store: Seaweed) -> NoReturn:
    """Be this store from here on: signals are its own."""
    argv = store.argv()
    os.chdir(store.directory)
    os.execv(argv[0], argv)  # noqa: S606 - no shell


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:]))
