r"""The operator's command for signing keys: `python -m services.identity.keys`, with identity's
environment.

    python -m services.identity.keys list
    python -m services.identity.keys withdraw key_019a… --reason 'a container was broken into'
    python -m services.identity.keys withdraw --unopened --reason 'the sealing key was leaked'

`withdraw` lets keys sign no more and takes them from what is published; another one signs at once.
What they signed is refused as soon as services have looked again. `--unopened` are those that the
present `GANSU_SEALING_KEY` does not open. It is refused where none opens: the containers have to
use the new one first. What was done stands in the journal, where the auditor reads it.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TextIO

from services.identity.actions.keys import Keys
from services.identity.command import Load, Open, Said, opened, run
from services.identity.domain.audit import REASON_MAX
from shared import settings
from shared.storage.access import Database, Transaction
from shared.times import instant

BY = "keys"
"""Who withdraws: no account is called so."""


def main(
    argv: Sequence[str],
    output: TextIO,
    load: Load = settings.load_identity,
    open_: Open = opened,
) -> int:
    """Run one command; its exit code."""
    arguments = _arguments(argv)
    return run(
        lambda _, database, secrets: arguments.command(arguments, database, Keys(secrets.sealing)),
        output,
        load,
        open_,
    )


def _list(_: argparse.Namespace, database: Database, own: Keys) -> Said:
    def line(body: dict[str, int], *, opens: bool) -> str:
        times = f"signs from {instant(body['from_ms'])} until {instant(body['until_ms'])}"
        return times if opens else f"{times}, is not opened"

    found = database.read(own.listed).value
    return [f"{key.key}  {line(key.body, opens=opens)}" for key, opens in found]


def _withdraw(given: argparse.Namespace, database: Database, own: Keys) -> Said:
    def change(tx: Transaction) -> list[str]:
        if given.unopened:
            return own.withdraw_unopened(tx, BY, given.reason)
        own.withdraw(tx, given.kid, BY, given.reason)
        return list(given.kid)

    withdrawn = database.transact(change).value
    return [f"{kid}  is withdrawn" for kid in withdrawn] or ["There was none to withdraw"]


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.identity.keys",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    listing = commands.add_parser("list", help="all keys that are published")
    listing.set_defaults(command=_list)
    withdraw = commands.add_parser("withdraw", help="let keys sign and be published no more")
    withdraw.add_argument("kid", nargs="*", help="a key's id")
    withdraw.add_argument("--unopened", action="store_true", help="all that do not open")
    withdraw.add_argument("--reason", required=True, type=_reason, help="why, for the auditor")
    withdraw.set_defaults(command=_withdraw)
    given = parser.parse_args(argv)
    if given.command is _withdraw and bool(given.kid) == given.unopened:
        parser.error("name keys, or say --unopened")
    return given


def _reason(text: str) -> str:
    if not 0 < len(text.strip()) <= REASON_MAX or not text.isprintable():
        raise argparse.ArgumentTypeError(f"1 to {REASON_MAX} characters in one line")
    return text.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
