"""What identity's commands share: the database and the secrets that its environment names, and the
words and the exit code for what came of it.

A command exits with 0 if it is done, 1 if it is refused, and 2 if it could not do its work; then
nothing is known to have been stored.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from typing import TextIO

from services.identity.domain import CATALOGUE
from services.identity.domain.secrets import Secrets
from shared.assembly import open_database
from shared.clock import SystemClock
from shared.errors import BUSY, Refused
from shared.settings import IdentitySettings, SettingsError
from shared.storage.access import Database
from shared.storage.objects import StoreError

DONE, REFUSED, UNDONE = 0, 1, 2

Said = Sequence[str]
"""What a command has to show, in lines."""
Work = Callable[[IdentitySettings, Database, Secrets], Said]
Load = Callable[[], IdentitySettings]
Open = Callable[[IdentitySettings], tuple[AbstractContextManager[Database], Secrets]]


def opened(loaded: IdentitySettings) -> tuple[AbstractContextManager[Database], Secrets]:
    """The database and the secrets of these settings."""
    clock = SystemClock()
    secrets = Secrets(loaded.subject_key, loaded.token_key, loaded.sealing_key, clock.random)
    return closing(open_database(loaded, "identity", CATALOGUE, clock)), secrets


def run(work: Work, output: TextIO, load: Load, open_: Open) -> int:
    """Do a command's work and show what it says; its exit code."""
    try:
        loaded = load()
        database_of, secrets = open_(loaded)
        with database_of as database:
            said = work(loaded, database, secrets)
    except Refused as refused:
        return failed(_told(refused), UNDONE if refused.problem is BUSY else REFUSED)
    except (SettingsError, StoreError, OSError) as error:
        return failed(f"{type(error).__name__}: {error}", UNDONE)
    output.write("\n".join([*said, ""]))
    return DONE


def failed(said: str, code: int) -> int:
    """Say why there is nothing to show; the exit code."""
    sys.stderr.write(f"{said}\n")
    return code


def _told(refused: Refused) -> str:
    """A refusal in words, with the fields that it names, and whom it is about."""
    fields = [f"{each.field} {each.en}" for each in refused.fields]
    about = [f"{name}: {value}" for name, value in refused.detail.items()]
    return "; ".join([refused.problem.en, *fields, *about])
