"""What compose.yaml reads, made once: `python -m infra.compose init --host gansu.example …`.

In one folder, for its owner alone:

    env        what is chosen, to be edited; `docker compose --env-file ‹folder›/env …`
    secrets/   a file for each secret, made at random; keep a copy apart from the backups
    tls/       where certificate.pem (with its chain) and key.pem are put, and renewed

What is there already is left as it is, so that it may be run again, in the same words, after an
upgrade that needs more. Only the standard library is needed.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.services import ISSUER, SERVICES
from shared import terminal
from shared.clock import Clock, SystemClock

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / ".compose"
COMPOSE_FILE = Path(__file__).with_name("compose.yaml")

GIVEN = ("notices_key", "verifier_key")
"""Secrets that others give: the SMS gateway's, and the authority's for names. Empty until then."""

PROGRAMS = (*SERVICES, *(f"{service}-notices" for service in SERVICES), "auditor")
"""Who has rights of its own in the store: `infra.rights.programs()`, which needs libraries."""


def store_secrets(clock: Clock) -> dict[str, str]:
    """Whom the store knows: its operator, and each program, called as its policies call it."""
    found = {"store_access_key": "gansu", "store_secret_key": clock.random(32).hex()}
    for program in PROGRAMS:
        found[f"{program}_store_access_key"] = f"gansu-{program}"
        found[f"{program}_store_secret_key"] = clock.random(32).hex()
    return found


def secrets(clock: Clock) -> dict[str, str]:
    """A new value for every secret, by the name of its file."""
    own = {
        f"{service}_{purpose}_key": clock.random(32).hex()
        for service in SERVICES
        for purpose in ("subject", "request")
    }
    return {
        **own,
        f"{ISSUER}_token_key": clock.random(32).hex(),
        f"{ISSUER}_sealing_key": clock.random(32).hex(),
        f"{ISSUER}_master_keys": f"first:{clock.random(32).hex()}",
        **store_secrets(clock),
        "grafana_password": clock.random(16).hex(),
        **dict.fromkeys(GIVEN, ""),
    }


class OtherWords(Exception):  # noqa: N818 - the message is for a person
    """Something else was chosen before; nothing was changed."""


def chosen(options: argparse.Namespace) -> dict[str, str]:
    """What the command's own words say, by variable of compose.yaml."""
    said = {
        "GANSU_HOST": options.host,
        "GANSU_ENV": "development" if options.development else "production",
        "GANSU_NOTICES": "console" if options.development else "http",
        "GANSU_NOTICES_URL": options.notices_url,
        "GANSU_VERIFIER_URL": options.verifier_url,
    }
    port = options.host.rpartition("]")[2].partition(":")[2]
    return {**said, "GANSU_HTTPS_PORT": port} if port else said


def environment(options: argparse.Namespace) -> dict[str, str]:
    """All that compose.yaml is told."""
    return {
        "COMPOSE_FILE": str(COMPOSE_FILE),
        "GANSU_DIRECTORY": str(options.directory.absolute()),
        **chosen(options),
        # Here and not in compose.yaml: an installation of earlier has them in the state's bucket.
        "GANSU_KEYS_BUCKET": "gansu-keys",
        "GANSU_MEDIA_BUCKET": "gansu-media",
    }


def check_words(env: Path, wanted: Mapping[str, str]) -> None:
    """Raise OtherWords where `env` is there and says something else than is `wanted`."""
    if not env.exists():
        return
    says = _read(env)
    differ = [
        f"  {name}={says[name]}, and {value or 'nothing'} is asked for"
        if name in says
        else f"  {name} is not there, and {value} is asked for"
        for name, value in wanted.items()
        if says.get(name, "") != value
    ]
    if differ:
        raise OtherWords(
            f"{env} says something else than you, and was left as it is:\n"
            + "\n".join(differ)
            + "\nEdit it, or say what it says; or name another --directory."
        )


def _read(env: Path) -> dict[str, str]:
    """The variables in a file for Compose, as somebody may have edited it."""
    lines = (line.strip() for line in env.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): _unquoted(value.strip()) for name, value in pairs}


def _unquoted(value: str) -> str:
    if value[:1] in {"'", '"'}:
        return value[1:].partition(value[0])[0]
    return value.partition(" #")[0].rstrip()


def init(options: argparse.Namespace, clock: Clock) -> list[Path]:
    """Make what is missing; which files that was. Raises OtherWords and OSError, and changes no
    folder's mode that was there before.
    """
    folder: Path = options.directory
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The daemon mounts what is inside; nobody else on this machine may get past the folder's door.
    if folder.stat().st_mode & 0o077:
        raise PermissionError(f"{folder} can be entered by others than its owner: chmod 700 it")
    check_words(folder / "env", chosen(options))
    for inner in ("secrets", "tls"):
        (folder / inner).mkdir(mode=0o755, exist_ok=True)
    files = {folder / "secrets" / name: f"{text}\n" for name, text in secrets(clock).items()}
    lines = "".join(f"{name}={value}\n" for name, value in environment(options).items())
    files[folder / "env"] = lines
    return [file for file, text in files.items() if _made(file, text)]


def _made(file: Path, text: str) -> bool:
    if file.exists():
        return False
    # Whole or not at all: half a secret would be taken for one for good. The containers' user has
    # another number than the owner, so that the door is what protects it, not the file's mode.
    draft = file.with_name(f"{file.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    draft.chmod(0o600 if file.name == "env" else 0o444)
    draft.rename(file)
    return True


def told(options: argparse.Namespace, made: list[Path]) -> str:
    """What a person does next."""
    folder: Path = options.directory
    missing = [
        str(folder / "tls" / name)
        for name in ("certificate.pem", "key.pem")
        if not (folder / "tls" / name).exists()
    ]
    if not options.development:
        missing += [
            str(folder / "secrets" / name)
            for name in GIVEN
            if not (folder / "secrets" / name).read_text(encoding="utf-8").strip()
        ]
    count = f"Made {len(made)} files in {folder}; what was there is as it was."
    rest = "".join(f"\n  to be put there: {path}" for path in missing)
    env = shlex.quote(str(folder / "env"))
    return f"{count}{rest}\nThen: docker compose --env-file {env} up --detach --wait"


def main(arguments: Sequence[str], clock: Clock) -> int:
    """Do it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.compose")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("init", help="make the settings and secrets that are missing")
    command.add_argument("--host", required=True, help="where clients find it, host[:port]")
    command.add_argument("--directory", type=Path, default=DIRECTORY, help="(%(default)s)")
    command.add_argument("--notices-url", default="", help="where the SMS gateway takes messages")
    command.add_argument("--verifier-url", default="", help="the authority that verifies names")
    command.add_argument(
        "--development",
        action="store_true",
        help="for trying out: messages are shown, not sent, and everybody's name is believed",
    )
    options = parser.parse_args(arguments)
    if not options.development and not (options.notices_url and options.verifier_url):
        command.error("--notices-url and --verifier-url are needed, or --development")
    try:
        print(told(options, init(options, clock)))
    except (OtherWords, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:], SystemClock()))
