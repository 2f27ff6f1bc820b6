"""The object store as the one program of a container: `python -m infra.store_container ‹folder›`.

SeaweedFS as `make run` has it, with S3 on all of the container's addresses, and nothing else of it:
its other doors ask for no credentials. With `--ready` it says by its exit status whether the store
of this container answers. Both read GANSU_STORE_ACCESS_KEY and GANSU_STORE_SECRET_KEY.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from infra.seaweed import Seaweed
from shared.settings import SettingsError, load_store

PORT = 8333


def main(arguments: Sequence[str]) -> int:
    """Become the store, or look at it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.store_container")
    parser.add_argument("folder", type=Path, help="where everything is kept")
    parser.add_argument("--ready", action="store_true", help="whether the store answers")
    options = parser.parse_args(arguments)
    try:
        settings = load_store({})
    except SettingsError as failure:
        print(failure, file=sys.stderr)
        return 2
    store = Seaweed(
        directory=options.folder,
        port=PORT,
        access_key=settings.store_access_key,
        secret_key=settings.store_secret_key,
        bin=Path(sys.prefix) / "bin" / "weed",
    )
    if not options.ready:
        become(replace(store, s3_bind="0.0.0.0"))  # noqa: S104 - a container's own network
    return 0 if store.is_ready() else 1


def become(store: Seaweed) -> NoReturn:
    """Be this store from here on: signals are its own."""
    argv = store.argv()
    os.chdir(store.directory)
    os.execv(argv[0], argv)  # noqa: S606 - no shell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
