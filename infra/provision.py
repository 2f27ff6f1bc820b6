"""Making a store fit for the platform: a bucket for each class of protection, made once, never
unsafe, with the least rights for each program.

    python -m infra.provision                    make and set what is missing
    python -m infra.provision --plan             say what that would be, and change nothing
    python -m infra.provision policies --service commerce

It reads GANSU_STORE_… and the buckets' settings, with the credentials of an operator. Every step
looks first, so it may be run again, by two at once, and after it failed halfway.

It exits with 0 where all is as it should be, 1 where something is refused (then nothing was
changed), 2 where the work could not be done, and `--plan` with 3 where there is something to do.
docs/provisioning.md has the rest.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from infra import rights
from infra.kinds import KINDS, Kind, kind_of
from infra.plan import AUDIT_LOCK, Options, Step, planned
from infra.policies import Policies
from shared import terminal
from shared.clock import Clock, SystemClock
from shared.settings import SettingsError, StoreSettings, load_store
from shared.storage.objects import Denied, StoreError
from shared.storage.s3_admin import Lock

DONE, REFUSED, UNDONE, TO_DO = 0, 1, 2, 3


class Unsafe(Exception):  # noqa: N818 - a verdict
    """A bucket must not be used as it is; the message says why and what to do."""


def provision(settings: StoreSettings, clock: Clock, options: Options | None = None) -> bool:
    """Make and set what is missing; whether anything was.

    Raises Unsafe, before anything is changed, and `objects.StoreError` where the store does not
    answer or refuses.
    """
    steps = planned(settings, clock, options or Options(kind_of(settings, None)))
    refused = [step.says for step in steps if step.state == "refused"]
    if refused:
        raise Unsafe(" ".join(refused))
    missing = [step for step in steps if step.state == "to do"]
    for step in missing:
        step.do()
    return bool(missing)


# The command


def main(argv: Sequence[str], clock: Clock | None = None) -> int:
    """Run with these arguments; the exit status."""
    arguments = _arguments(argv)
    try:
        settings = load_store({})
        kind = kind_of(settings, arguments.store)
        if arguments.command == "policies":
            return _print_policies(Policies(settings, kind), arguments.service)
        options = _options(arguments, kind)
        return _run(settings, clock or SystemClock(), options, plan=arguments.plan)
    except (SettingsError, StoreError, ValueError) as error:
        said = error.told() if isinstance(error, StoreError) else str(error)
        if isinstance(error, Denied):
            said += ". It takes the credentials of an operator of the store, docs/provisioning.md"
        print(f"Not done: {said}", file=sys.stderr)
        return UNDONE


def _run(settings: StoreSettings, clock: Clock, options: Options, *, plan: bool) -> int:
    steps = planned(settings, clock, options)
    for step in steps:
        print(_line(step))
    refused = [step for step in steps if step.state == "refused"]
    missing = [step for step in steps if step.state == "to do"]
    if refused:
        print(f"{len(refused)} refused; nothing was changed", file=sys.stderr)
        return REFUSED
    if plan:
        return TO_DO if missing else DONE
    for step in missing:
        step.do()
        print(f"  done      {step.bucket}: {step.says}")
    return DONE


def _line(step: Step) -> str:
    return f"{step.state:9} {step.bucket}: {step.says}"


def _print_policies(policies: Policies, service: str | None) -> int:
    names = [service] if service else rights.programs()
    documents = {name: policies.of_program(name) for name in names}
    print(json.dumps(documents[service] if service else documents, indent=2))
    return DONE


def _options(arguments: argparse.Namespace, kind: Kind) -> Options:
    principal = arguments.principal or kind.principal
    if arguments.policies and principal is None:
        raise ValueError(
            "--policies needs --principal, how the store calls the user of a {program}, such as"
            " arn:aws:iam::123456789012:user/gansu-{program}"
        )
    if principal is not None and "{program}" not in principal:
        raise ValueError("--principal has {program} in it, where the program's name stands")
    return Options(
        kind,
        principal=principal if arguments.policies else None,
        operator=arguments.operator,
        lock=Lock(arguments.audit_mode.upper(), arguments.audit_days),
        moves=arguments.move,
    )


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.provision",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("buckets", "policies"),
        default="buckets",
        help="buckets: make and set them, the default; policies: print what programs may do",
    )
    parser.add_argument("--plan", action="store_true", help="say it, and change nothing")
    parser.add_argument(
        "--store",
        choices=sorted(KINDS),
        help="which kind it is, unless the address is AWS's; what each has is in infra/kinds.py",
    )
    parser.add_argument("--service", choices=rights.programs(), help="the policy of one program")
    parser.add_argument(
        "--policies",
        action="store_true",
        help="set each bucket's policy as well, for users of the store that are there already",
    )
    parser.add_argument(
        "--principal", help="how the store calls the user of a {program}, for --policies"
    )
    parser.add_argument(
        "--operator",
        default="",
        help="how the store calls the operator, who may then read everything, for --policies",
    )
    parser.add_argument(
        "--audit-days",
        type=int,
        default=AUDIT_LOCK.days,
        help="how long what is in the audit bucket cannot be changed (%(default)s)",
    )
    parser.add_argument(
        "--audit-mode",
        choices=("governance", "compliance"),
        default="governance",
        help="governance: who has a right of its own may still remove it; compliance: nobody,"
        " and it cannot be taken back",
    )
    parser.add_argument(
        "--move",
        action="store_true",
        help="move keys and pictures from the state's bucket to their own, while identity and"
        " commerce are stopped",
    )
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.audit_days <= 36500:
        parser.error("--audit-days is a number from 1 to 36500")
    return arguments


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:]))
