r"""The operator's command that begins a platform: `python -m services.identity.bootstrap`, with
identity's environment. It makes the first security officers, whom nobody could give their role, and
the app that staff sign in to, and shows an invitation for each officer, once.

    python -m services.identity.bootstrap begin li.si wang.wu zhao.liu \
        --app gansu-office --redirect https://office.gansu.example/signed-in
    python -m services.identity.bootstrap again
    python -m services.identity.bootstrap office gansu-office \
        --redirect https://office.gansu.example/signed-in

`begin` does nothing where there is any officer. `again` makes new invitations for those officers
who have not enrolled, in place of the ones before, as long as fewer than two have. `office` lets
the app of the staff be answered at another address, or another app be one: operators cannot.

Invitations are shown on a terminal alone: a file or a log of a job would keep them. The commands
exit with 0 if it is done, 1 if it is refused, and 2 if they could not do their work; then nothing
is known to have been stored, and the same command once more says whether it was.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from services.identity.actions import bootstrap
from services.identity.actions.bootstrap import Invited, Office
from services.identity.command import UNDONE, Load, Open, Said, failed, opened, run
from services.identity.domain import staff
from services.identity.domain.clients import Registration
from services.identity.domain.secrets import Secrets
from services.identity.schemas.clients import CLIENT_ID
from shared import settings
from shared.settings import IdentitySettings
from shared.storage.access import Database
from shared.times import DAY_MS

OFFICE_SCOPES = (
    "openid",
    "account:read",
    "account:write",
    "staff:write",
    "roles:read",
    "roles:write",
    "clients:read",
    "clients:write",
)
"""What the first app may ask for: what it takes to make everything else known."""


def main(
    argv: Sequence[str],
    terminal: TextIO,
    load: Load = settings.load_identity,
    open_: Open = opened,
) -> int:
    """Run one command; its exit code."""
    arguments = _arguments(argv)
    if arguments.invites and not terminal.isatty():
        return failed("invitations are shown on a terminal alone, and this is none", UNDONE)
    return run(
        lambda loaded, database, own: arguments.command(arguments, loaded, database, own),
        terminal,
        load,
        open_,
    )


def _shown(invited: Sequence[Invited], issuer: str) -> Said:
    days = staff.INVITED_MS // DAY_MS
    return [
        f"{len(invited)} security officers are invited. Each enrols within {days} days at",
        f"  {issuer}/enrolment",
        "with an invitation of their own, which is shown now and nowhere kept:",
        *(f"  {each.name or each.account}\n    {each.invitation}" for each in invited),
    ]


# Commands


Arguments = argparse.Namespace


def _begin(given: Arguments, loaded: IdentitySettings, database: Database, own: Secrets) -> Said:
    office = _office_of(given)
    return _shown(bootstrap.begin(database, own, given.officer, office), loaded.issuer)


def _again(_: Arguments, loaded: IdentitySettings, database: Database, own: Secrets) -> Said:
    return _shown(bootstrap.again(database, own), loaded.issuer)


def _office(given: Arguments, _: IdentitySettings, database: Database, __: Secrets) -> Said:
    bootstrap.put_office(database, _office_of(given))
    return [f"{given.app} is the office's own app, and is answered at {given.redirect}"]


def _office_of(given: Arguments) -> Office:
    registration = Registration(
        "app", given.name_zh, given.name_en, [given.redirect], OFFICE_SCOPES, [], office=True
    )
    return Office(given.app, registration)


def _arguments(argv: Sequence[str]) -> Arguments:
    parser = argparse.ArgumentParser(
        prog="python -m services.identity.bootstrap",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    begin = commands.add_parser("begin", help="make the first officers, where there is none")
    begin.add_argument("officer", nargs="+", help="the name that an officer will sign in by")
    begin.add_argument("--app", required=True, type=_client_id, help="the id of the staff's app")
    begin.set_defaults(command=_begin, invites=True)
    again = commands.add_parser("again", help="invite those anew who have not enrolled")
    again.set_defaults(command=_again, invites=True)
    office = commands.add_parser("office", help="let the staff have this app, as it is said now")
    office.add_argument("app", type=_client_id, help="its id")
    office.set_defaults(command=_office, invites=False)
    for command in (begin, office):
        command.add_argument("--redirect", required=True, help="where that app is answered at")
        command.add_argument("--name-zh", default="管理平台", help="what the sign-in page calls it")
        command.add_argument("--name-en", default="Administration")
    return parser.parse_args(argv)


def _client_id(text: str) -> str:
    if not re.fullmatch(CLIENT_ID, text):
        raise argparse.ArgumentTypeError("3 to 63 of a-z 0-9 -, a letter first")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
