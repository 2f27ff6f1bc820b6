"""Planting the sample accounts and clients: `python -m infra.seeds.identity`, with identity's
environment.

Numbers of sample accounts are made up, and could be somebody's: in development messages are shown
and sent to nobody.
"""

import json

from infra.seeds import SEED, account_of, planting
from services.identity.actions import accounts, clients
from services.identity.actions.accounts import Sample
from services.identity.domain import CATALOGUE
from services.identity.domain.clients import Registration
from services.identity.domain.secrets import Secrets
from shared import settings, terminal
from shared.clock import SystemClock
from shared.storage.access import Database
from shared.storage.catalogue import Body


def samples() -> Body:
    """The file of samples."""
    read: Body = json.loads((SEED / "identity.json").read_text(encoding="utf-8"))
    return read


def last_planted(now_ms: int) -> str:  # noqa: ARG001 - clients stay, whatever day it is
    """Where the app stands that is planted last."""
    return f"/identity/v1/apps/{samples()['clients'][-1]['id']}"


def plant(database: Database, secrets: Secrets) -> int:
    """Plant what is missing; how many accounts and clients that was."""
    read = samples()
    people = [
        Sample(account_of(row["name"]), row["roles"], secrets.phone(row["phone"]))
        for row in read["accounts"]
    ]
    known = {row["id"]: _registration(row) for row in read["clients"]}
    planted = accounts.plant_accounts(database, people).value
    return planted + clients.plant_clients(database, known).value


def _registration(row: Body) -> Registration:
    return Registration(
        row["kind"],
        row["name_zh"],
        row["name_en"],
        row["redirect_uris"],
        row["scopes"],
        row["roles"],
        office=row.get("office", False),
    )


def main() -> None:
    """Plant into the identity database that the environment names."""
    loaded = settings.load_identity()
    secrets = Secrets(
        loaded.subject_key, loaded.token_key, loaded.sealing_key, SystemClock().random
    )
    planting("identity", CATALOGUE, lambda database, _, __: plant(database, secrets))


if __name__ == "__main__":
    terminal.prepare()
    main()
