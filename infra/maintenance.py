"""The maintenance switch of the gateway: writes, or everything, refused for a while with a reason.

    python -m infra.maintenance on --reason 系统升级 --reason-en Upgrading --until 2026-05-01T02:30
    python -m infra.maintenance on --service commerce --reason 核对库存       # the others go on
    python -m infra.maintenance            # what is the case
    python -m infra.maintenance off

A container has the same as `maintenance on …`. In mode `writes` reads go on, from the services and
from the cache; in mode `all` nothing does. In both, health is answered and problems are explained.

What is the case stands in the gateway's directory, so that it outlives the gateway. nginx reads it
as a part of its configuration (`maintenance.conf`) and is told to read again: requests that are
under way end as they began, and the command returns when none of those is left.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

from infra import nginx
from shared import terminal
from shared.clock import Clock, SystemClock
from shared.errors import Problem, Refused
from shared.language import Language
from shared.times import ZONE_MS, instant, milliseconds
from shared.web import problems

CODE = 598
"""What stands in nginx for this refusal alone; a client sees the problem's status."""

PROBLEM = Problem(
    "maintenance", 503, "系统维护中，请稍后重试", "Closed for maintenance; try again later"
)

DIRECTORY = Path(__file__).parent.parent / ".run" / "gateway"

REASON_CHARACTERS_MAX = 300
SECONDS_UNKNOWN = 300
"""When to try again where nobody said how long it takes, or longer than was said."""

_STATE = "maintenance.json"
_RENDERED = "maintenance.conf"
_FINISH_SECONDS = 60.0
_STEP_SECONDS = 0.05
_REFUSED = {"writes": "(?!GET$|HEAD$|OPTIONS$)", "all": ""}
"""By mode, a pattern of the methods."""

Mode = Literal["writes", "all"]


class NotSwitched(Exception):  # noqa: N818 - the message is for a person
    """Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What is refused, why, in both languages, and until when: milliseconds UTC, None if unknown.

    Of `services`, or of all where none is named. Raises ValueError for what could not be said.
    """

    mode: Mode
    reason_zh: str
    reason_en: str
    until_ms: int | None = None
    services: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.mode not in _REFUSED:
            raise ValueError(f"a mode is one of {', '.join(_REFUSED)}")
        for reason in (self.reason_zh, self.reason_en):
            if not 0 < len(reason) <= REASON_CHARACTERS_MAX or not reason.isprintable():
                # As it was read: in another encoding than the terminal's it is another text.
                raise ValueError(
                    f"a reason is one line of 1 to {REASON_CHARACTERS_MAX} characters,"
                    f" and this is {reason[:REASON_CHARACTERS_MAX]!a}"
                )

    def document(self, language: Language) -> str:
        """The problem document; nginx puts the request's id in."""
        detail: dict[str, object] = {
            "detail": self.reason_en if language == "en" else self.reason_zh
        }
        if self.until_ms is not None:
            detail["until"] = instant(self.until_ms)
        refused = Refused(PROBLEM, detail=detail)
        document = problems.document(refused, language, "$request_id")
        # The request's id is nginx's variable; whatever else has a $ is text.
        text = json.dumps({**document, "request_id": ""}, ensure_ascii=False)
        literal = text.replace("$", "\\u0024")
        return literal.replace('"request_id": ""', '"request_id": "$request_id"')


def install(directory: Path) -> None:
    """Write what nginx is to include, from what is the case in `directory`."""
    _replace(directory / _RENDERED, rendered(current(directory)))


def current(directory: Path) -> Maintenance | None:
    """What was switched on and not off again. Raises ValueError on another file."""
    path = directory / _STATE
    if not path.exists():
        return None
    try:
        return Maintenance(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} does not say what is refused for maintenance") from error


def switch(directory: Path, wanted: Maintenance | None, clock: Clock) -> bool:
    """Make it the case, and return when no request is left that began before; whether any gateway
    was there to be told. Raises NotSwitched, OSError.
    """
    state, before = directory / _STATE, current(directory)
    _keep(state, wanted)
    install(directory)
    master = _master(directory)
    if master is None:
        return False
    earlier = _children(master)
    if not _reload(directory):
        _keep(state, before)
        install(directory)
        raise NotSwitched("nginx refuses its configuration; see the gateway's log")
    _await_end(master, earlier, clock)
    return True


def rendered(case: Maintenance | None) -> str:
    """The part of nginx's configuration that says what is refused, and how."""
    said = case or Maintenance("writes", PROBLEM.zh, PROBLEM.en)
    refused = f'default 0; "{_refused(case)}" 1;' if case else "default 0;"
    again = "\n        ".join(_steps(said.until_ms))
    return f"""\
# Written by infra/maintenance.py.
    map "$observed_route $request_method" $maintained {{ {refused} }}
    map $request_method $maintenance_mode {{ default {case.mode if case else "off"}; }}
    map $language $maintenance_problem {{
        default '{nginx.quoted(said.document("zh"))}';
        en '{nginx.quoted(said.document("en"))}';
    }}
    map $msec $maintenance_retry_after {{
        {again}
    }}
"""


def _refused(case: Maintenance) -> str:
    """A pattern of service and method, as `nginx.conf` has them."""
    whose = f"(?:{'|'.join(case.services)})" if case.services else "[a-z]+"
    return f"~^{whose} {_REFUSED[case.mode]}"


def _steps(until_ms: int | None) -> list[str]:
    """Seconds until a client tries again, by nginx's clock: never all of them at the same moment,
    rarely when there is nothing to be had yet.
    """
    if until_ms is None:
        return [f"default {SECONDS_UNKNOWN};"]
    until = until_ms // 1000
    return [
        f'"{_from(until)}" {SECONDS_UNKNOWN};',
        f'"{_from(until - 600)}" 60;',
        f'"{_from(until - 3600)}" 600;',
        "default 3600;",
    ]


def _from(seconds: int) -> str:
    """A pattern of the times ($msec, of ten digits and a fraction) from `seconds` on."""
    written = f"{seconds:010d}"
    later = [
        f"{written[:place]}[{int(digit) + 1}-9]"
        for place, digit in enumerate(written)
        if digit != "9"
    ]
    return f"~^(?:{'|'.join([*later, written])})"


# The running gateway


def _master(directory: Path) -> int | None:
    """The process that reads nginx's configuration, if there is one."""
    with suppress(OSError, ValueError):
        process = int((directory / "nginx.pid").read_text())
        # One that was killed leaves its number behind, which may be anybody's by now.
        return process if "nginx" in _command(process) else None
    return None


def _command(process: int) -> str:
    line = Path(f"/proc/{process}/cmdline")
    if line.exists():
        return line.read_text()
    argv = ["ps", "-p", str(process), "-o", "command="]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _reload(directory: Path) -> bool:
    """Have nginx read its configuration again, if it is one that it can read."""
    done = subprocess.run(
        nginx.argv(directory, "-s", "reload"), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
    return done.returncode == 0


def _await_end(master: int, earlier: set[str], clock: Clock) -> None:
    deadline = clock.monotonic() + _FINISH_SECONDS
    while earlier & _children(master):
        if clock.monotonic() > deadline:
            print("Some requests that began before are still under way", file=sys.stderr)
            return
        clock.sleep(_STEP_SECONDS)


def _children(process: int) -> set[str]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    if listed.exists():
        return set(listed.read_text().split())
    told = subprocess.run(
        ["ps", "-ax", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    rows = (line.split() for line in told.stdout.splitlines())
    return {child for child, parent in rows if parent == str(process)}


def _keep(state: Path, case: Maintenance | None) -> None:
    if case is None:
        state.unlink(missing_ok=True)
    else:
        _replace(state, json.dumps(asdict(case), ensure_ascii=False))


def _replace(path: Path, text: str) -> None:
    # Whole or not at all: nginx may be reading, and what half a file says would be refused.
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


# The command


def moment(written: str, now_ms: int) -> int:
    """What `--until` says, in milliseconds UTC: RFC 3339, in China's zone where it names none.
    Raises ValueError.
    """
    local = datetime.fromisoformat(written)
    if local.tzinfo is None:
        local = local.replace(tzinfo=timezone(timedelta(milliseconds=ZONE_MS)))
    until_ms = milliseconds(local.isoformat())
    if until_ms <= now_ms:
        raise ValueError(f"{written} is over")
    return until_ms


def told(case: Maintenance | None) -> str:
    """What is the case, for a person."""
    if case is None:
        return "No maintenance: everything is served"
    until = "" if case.until_ms is None else f" until {instant(case.until_ms)}"
    what = "writes" if case.mode == "writes" else "everything"
    of = f" of {', '.join(case.services)}" if case.services else ""
    verb = "are" if case.mode == "writes" else "is"
    return f"Maintenance: {what}{of} {verb} refused{until}: {case.reason_zh} / {case.reason_en}"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="maintenance", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="the gateway's own")
    commands = parser.add_subparsers(dest="command")
    on = commands.add_parser("on", help="refuse")
    on.add_argument("--mode", choices=tuple(_REFUSED), default="writes", help="what is refused")
    on.add_argument(
        "--service", action="append", default=[], help="of this one alone; may be said again"
    )
    on.add_argument("--reason", required=True, help="what people are told, in Chinese")
    on.add_argument("--reason-en", help="the same in English; without it, as in Chinese")
    on.add_argument("--until", help="when it is thought to be over: 2026-05-01T02:30[+08:00]")
    commands.add_parser("off", help="serve again")
    commands.add_parser("status", help="say what is the case; as without a command")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str], clock: Clock) -> int:
    """Do it; the exit status."""
    options = parsed(arguments)
    directory: Path = options.directory
    if not (directory / "nginx.conf").exists():
        print(f"{directory} is no gateway's directory", file=sys.stderr)
        return 1
    if options.command == "on" and (missing := _unknown(directory, options.service)):
        print(f"The gateway leads to no service {', '.join(missing)}", file=sys.stderr)
        return 1
    try:
        heard = True
        if options.command == "on":
            heard = switch(directory, _wanted(options, clock.now_ms()), clock)
        elif options.command == "off":
            heard = switch(directory, None, clock)
        print(told(current(directory)))
    except (NotSwitched, OSError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if not heard:
        print("No gateway runs there: it holds from its next start")
    return 0


def _wanted(options: argparse.Namespace, now_ms: int) -> Maintenance:
    until_ms = None if options.until is None else moment(options.until, now_ms)
    return Maintenance(
        options.mode,
        options.reason,
        options.reason_en or options.reason,
        until_ms,
        options.service,
    )


def _unknown(directory: Path, services: Sequence[str]) -> list[str]:
    configured = (directory / "nginx.conf").read_text(encoding="utf-8")
    return [name for name in services if f"location /{name}/ {{" not in configured]


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:], SystemClock()))
