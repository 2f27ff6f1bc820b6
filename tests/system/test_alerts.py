"""Prometheus' own promtool reads the alert rules: each fires when it must, and not otherwise.

A case is some series, one value a step in promtool's notation (`a+bxn`: from a in n steps of b),
and the labels of the alerts that stand after twenty minutes of them, or at another time. A step is
15 s, and longer only in what takes a day.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

RULES = Path(__file__).parents[2] / "infra/observability/alerts.yml"

pytestmark = pytest.mark.timeout(600)

Labels = Mapping[str, str]
NOBODY: Sequence[Labels] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Series, and what an alert makes of them."""

    alert: str
    when: str
    series: Mapping[str, str]
    firing: Sequence[Labels] = NOBODY
    at: str = "20m"
    step: str = "15s"


def every(per_step: float, start: float = 0) -> str:
    """A counter that grows for half an hour by so much every 15 s."""
    return f"{start}+{per_step}x120"


def always(value: float) -> str:
    """A gauge that stays for half an hour."""
    return f"{value}x120"


REQUESTS = "http_server_request_duration_seconds"
GATEWAY = "gansu_gateway_request_duration_seconds_count"
STORE = "gansu_store_request_duration_seconds"
WAIT = "gansu_commit_queue_wait_seconds"
COMMERCE = {"service": "commerce"}
JOURNAL = {"service": "commerce", "database": "commerce"}


def served(status: str, per_step: float, route: str = "POST /commerce/v1/orders") -> dict[str, str]:
    """Requests to commerce, of one status."""
    labels = f'service="commerce",instance="a",route="{route}",status="{status}"'
    return {f"{REQUESTS}_count{{{labels}}}": every(per_step)}


def timed(measure: str, labels: str, slow: float, fast: float) -> dict[str, str]:
    """A histogram in which so many a step take 4 s, and so many 50 ms."""
    both = every(slow + fast)
    return {
        f'{measure}_bucket{{{labels},le="0.1"}}': every(fast),
        f'{measure}_bucket{{{labels},le="4"}}': both,
        f'{measure}_bucket{{{labels},le="+Inf"}}': both,
        f"{measure}_count{{{labels}}}": both,
    }


def ready(instance: str, values: str) -> dict[str, str]:
    """Whether one container of commerce says that it is ready."""
    return {f'gansu_ready{{service="commerce",instance="{instance}"}}': values}


def commits(outcome: str, per_step: float) -> dict[str, str]:
    """Batches of commerce's journal."""
    labels = f'service="commerce",database="commerce",outcome="{outcome}"'
    return {f"gansu_commits_total{{{labels}}}": every(per_step)}


def gauge(name: str, values: str, labels: Labels = JOURNAL, instance: str = "a") -> dict[str, str]:
    """A measure of one container."""
    told = ",".join(f'{key}="{value}"' for key, value in (*labels.items(), ("instance", instance)))
    return {f"{name}{{{told}}}": values}


A = {**JOURNAL, "instance": "a"}
FAILED = 'gansu_sign_in_failures_total{service="identity",kind="code"}'
ASKED = (
    'http_server_request_duration_seconds_count{service="identity",instance="a",route="/identity/'
)
CODES, SIGNED_IN = f'{ASKED}sign-in/code",status="200"}}', f'{ASKED}sign-in",status="303"}}'
NOTIFIER = {"service": "commerce-notices"}
LEVEL = 'gansu_notices_level_timestamp_seconds{service="commerce-notices",instance="n"}'


def told(outcome: str, per_step: float) -> dict[str, str]:
    """What became of a notifier's messages."""
    labels = f'service="commerce-notices",instance="n",outcome="{outcome}"'
    return {f"gansu_notices_total{{{labels}}}": every(per_step)}


CHECKED = "gansu_conservation_checked_timestamp_seconds"

CASES = [
    Case("GansuUnseen", "nothing is measured", {"up": always(1)}, [{}]),
    Case("GansuUnseen", "nothing was for five minutes", ready("a", "1x20 _x100"), at="9m"),
    Case("GansuUnseen", "one container is measured", ready("a", always(0))),
    Case(
        "GansuGone",
        "the last container of commerce went, one of another did not",
        ready("a", "1x20 _x100") | {'gansu_ready{service="health",instance="b"}': always(1)},
        [COMMERCE],
    ),
    Case(
        "GansuGone",
        "no gateway is left",
        {'gansu_spans_lost_total{service="gateway",instance="g"}': "0x20 _x100"},
        [{"service": "gateway"}],
    ),
    Case("GansuGone", "one of two went", ready("a", "1x20 _x100") | ready("b", always(1))),
    Case("GansuGone", "it was started again", ready("a", "1x40 _x4 1x60"), at="13m"),
    Case(
        "GansuTargetDown",
        "a container does not answer",
        {'up{job="smart-gansu",instance="a"}': always(0)},
        [{"job": "smart-gansu", "instance": "a"}],
    ),
    Case(
        "GansuTargetDown",
        "it was started again within five minutes",
        {'up{job="smart-gansu",instance="a"}': "1x60 0x15 1x50"},
        at="18m",
    ),
    Case("GansuTargetDown", "it is somebody else's", {'up{job="node"}': always(0)}),
    Case(
        "GansuServiceDown",
        "no container is ready",
        ready("a", always(0)) | ready("b", always(0)),
        [COMMERCE],
        at="2m",
    ),
    Case("GansuServiceDown", "one of two is", ready("a", always(0)) | ready("b", always(1))),
    Case(
        "GansuNotReady",
        "one of two is not",
        ready("a", always(0)) | ready("b", always(1)),
        [{**COMMERCE, "instance": "a"}],
    ),
    Case("GansuNotReady", "it was only starting", ready("a", "0x30 1x90")),
    Case("GansuErrors", "one in fifty fails", served("500", 2) | served("201", 98), [COMMERCE]),
    Case("GansuErrors", "one in a thousand fails", served("500", 0.1) | served("201", 99.9)),
    Case("GansuErrors", "clients are told to come back", served("503", 20) | served("201", 80)),
    Case("GansuErrors", "probes are told that it is not ready", served("500", 0)
        | served("503", 5, "GET /commerce/health/ready")),
    Case("GansuErrors", "one of three in a quiet night", served("500", 0.1) | served("201", 0.2)),
    Case(
        "GansuGatewayErrors",
        "services are not reached",
        {
            f'{GATEWAY}{{route="commerce",status="5xx"}}': every(10),
            f'{GATEWAY}{{route="commerce",status="2xx"}}': every(90),
        },
        [{"route": "commerce"}],
    ),
    Case(
        "GansuGatewayErrors",
        "another service fails",
        {
            f'{GATEWAY}{{route="commerce",status="5xx"}}': every(0),
            f'{GATEWAY}{{route="commerce",status="2xx"}}': every(90),
        },
    ),
    Case(
        "GansuSlow",
        "one in twenty takes seconds",
        timed(REQUESTS, 'service="commerce",route="r"', slow=5, fast=95),
        [COMMERCE],
    ),
    Case(
        "GansuSlow",
        "one in a thousand does",
        timed(REQUESTS, 'service="commerce",route="r"', slow=0.1, fast=99.9),
    ),
    Case(
        "GansuShedding",
        "a tenth is turned away",
        served("503", 10) | served("201", 90)
        | {'gansu_shed_total{service="commerce",reason="busy"}': every(10)},
        [COMMERCE],
    ),
    Case(
        "GansuShedding",
        "a hundredth is",
        served("503", 1) | served("201", 99)
        | {'gansu_shed_total{service="commerce",reason="busy"}': every(1)},
    ),
    Case(
        "GansuShedding",
        "citizens order too often",
        served("429", 10) | served("201", 90)
        | {'gansu_shed_total{service="commerce",reason="too-many-orders"}': every(10)},
    ),
    Case("GansuCommitsUndecided", "it goes on", commits("undecided", 0.5), [JOURNAL]),
    Case("GansuCommitsUndecided", "there was one", {
        'gansu_commits_total{service="commerce",database="commerce",outcome="undecided"}':
            "0x60 1x60"
    }),
    Case("GansuCommitsUndecided", "all are stored", commits("applied", 100)),
    Case(
        "GansuConflicts",
        "two of three run in vain",
        commits("lost_race", 200) | commits("applied", 100),
        [{"database": "commerce"}],
        at="29m",
    ),
    Case("GansuConflicts", "one in fifteen does", commits("lost_race", 7) | commits("applied", 100),
        at="29m"),
    Case(
        "GansuQueueWait",
        "one in twenty waits for seconds",
        timed(WAIT, 'service="commerce",database="commerce"', slow=5, fast=95),
        [{"database": "commerce"}],
    ),
    Case(
        "GansuQueueWait",
        "all begin at once",
        timed(WAIT, 'service="commerce",database="commerce"', slow=0, fast=100),
    ),
    Case(
        "GansuReplicaBehind",
        "it is asked and not level",
        gauge("gansu_replica_age_seconds", every(15)) | served("503", 15),
        [A],
    ),
    Case("GansuReplicaBehind", "it is idle", gauge("gansu_replica_age_seconds", every(15))
        | served("200", 15, "GET /commerce/health/ready")),
    Case("GansuReplicaBehind", "another container is asked",
        gauge("gansu_replica_age_seconds", every(15), instance="b") | served("200", 15)),
    Case("GansuReplicaBehind", "it is asked and level",
        gauge("gansu_replica_age_seconds", always(0.4)) | served("200", 15)),
    Case("GansuReplicaCatchingUp", "it does not come level",
        gauge("gansu_replica_lag_entries", always(5000)), [A]),
    Case("GansuReplicaCatchingUp", "it came level",
        gauge("gansu_replica_lag_entries", "5000-500x10 0x110")),
    Case("GansuUnapplicableEntry", "one is damaged",
        gauge("gansu_unapplicable_entries", always(1)), [JOURNAL], at="2m"),
    Case("GansuUnapplicableEntry", "all can be applied",
        gauge("gansu_unapplicable_entries", always(0))),
    Case(
        "GansuStoreErrors",
        "a tenth fails",
        {
            'gansu_store_errors_total{service="commerce",operation="create",kind="uncertain"}':
                every(10),
            f'{STORE}_count{{service="commerce",operation="create",outcome="ok"}}': every(90),
            f'{STORE}_count{{service="commerce",operation="create",outcome="error"}}': every(10),
        },
        [COMMERCE],
    ),
    Case(
        "GansuStoreErrors",
        "the odd one does",
        {
            'gansu_store_errors_total{service="commerce",operation="create",kind="uncertain"}':
                every(0.1),
            f'{STORE}_count{{service="commerce",operation="create",outcome="ok"}}': every(90),
        },
    ),
    Case(
        "GansuStoreSlow",
        "one create in twenty takes seconds",
        timed(STORE, 'service="commerce",operation="create",outcome="ok"', slow=5, fast=95),
        [{"operation": "create"}],
    ),
    Case(
        "GansuStoreSlow",
        "all are fast",
        timed(STORE, 'service="commerce",operation="create",outcome="ok"', slow=0, fast=95),
    ),
    Case("GansuClockOff", "it is slow by 12 s",
        gauge("gansu_clock_offset_seconds", always(-12), COMMERCE),
        [{**COMMERCE, "instance": "a"}]),
    Case("GansuClockOff", "it is off by a second",
        gauge("gansu_clock_offset_seconds", always(1), COMMERCE)),
    Case("GansuSignInFailures", "three a second fail", {FAILED: every(45)}, [{"kind": "code"}]),
    Case("GansuSignInFailures", "one in ten seconds does", {FAILED: every(1.5)}),
    Case(
        "GansuSignInFailures",
        "as many as yesterday",
        {FAILED: "0+900x300"},
        at="1445m",
        step="5m",
    ),
    Case(
        "GansuSignInFailures",
        "nine times as many as yesterday",
        {FAILED: "0+360x270 100440+3240x30"},
        [{"kind": "code"}],
        at="1445m",
        step="5m",
    ),
    Case("GansuNobodySignsIn", "three a minute ask for a code, and nobody comes in",
        {CODES: every(0.75), SIGNED_IN: always(7)}, [{}]),
    Case("GansuNobodySignsIn", "nobody ever came in", {CODES: every(0.75)}, [{}]),
    Case("GansuNobodySignsIn", "one of them comes in",
        {CODES: every(0.75), SIGNED_IN: "0x40 1x80"}),
    Case("GansuNobodySignsIn", "a few ask, and think better of it", {CODES: every(0.1)}),
    Case("GansuGone", "a notifier is no more",
        {LEVEL: "0+15x20 _x100", **ready("a", always(1))}, [NOTIFIER]),
    Case("GansuNoticesHeldUp", "it stopped reading a quarter of an hour ago and more",
        {LEVEL: "0+15x10 150x110"}, [NOTIFIER]),
    Case("GansuNoticesHeldUp", "it reads and sends", {LEVEL: "0+15x120", **told("sent", 1)}),
    Case("GansuNoticesHeldUp", "nothing that it sends is taken",
        {LEVEL: "0+15x120", **told("later", 1), **told("sent", 0)}, [NOTIFIER], at="28m"),
    Case("GansuNoticesHeldUp", "some of it is",
        {LEVEL: "0+15x120", **told("later", 1), **told("sent", 0.1)}, at="28m"),
    Case("GansuNoticesRefused", "one a minute is refused", told("refused", 0.25), [NOTIFIER],
        at="30m"),
    Case("GansuNoticesRefused", "one in ten minutes is", told("refused", 0.025), at="30m"),
    Case("GansuConservationViolated", "a ticket was sold twice",
        gauge("gansu_conservation_violations", "0x10 1x110"), [JOURNAL], at="3m"),
    Case("GansuConservationViolated", "the books are right",
        gauge("gansu_conservation_violations", always(0))),
    Case("GansuConservationUnchecked", "the last look is three hours ago",
        gauge(CHECKED, "0x40"), [JOURNAL], at="3h", step="5m"),
    Case("GansuConservationUnchecked", "it is a quarter of an hour ago",
        gauge(CHECKED, "0x32 9900x10"), at="3h", step="5m"),
]  # fmt: skip


def promtool(*argv: str, cwd: Path) -> str:
    program = shutil.which("promtool")
    assert program, "promtool is missing: sudo infra/install-debian-packages"
    done = subprocess.run(
        [program, *argv], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[Mapping[str, object]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def severity_of(alert: str) -> str:
    (found,) = [rule for rule in rules() if rule["alert"] == alert]
    labels = found["labels"]
    assert isinstance(labels, dict)
    return str(labels["severity"])


def test_prometheus_reads_the_rules(tmp_path: Path) -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES), cwd=tmp_path)


def expected(case: Case) -> list[dict[str, object]]:
    """The series that Prometheus keeps of alerts that fire."""
    common = {"alertname": case.alert, "alertstate": "firing", "severity": severity_of(case.alert)}
    return [{"labels": f"ALERTS{braced({**common, **each})}", "value": 1} for each in case.firing]


def braced(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def written(folder: Path, step: str) -> str:
    """A file for promtool of the cases with this step; its name."""
    tests = [
        {
            "name": f"{case.alert}: {case.when}",
            "interval": step,
            "input_series": [
                {"series": name, "values": values} for name, values in case.series.items()
            ],
            "promql_expr_test": [
                {
                    "expr": f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}',
                    "eval_time": case.at,
                    "exp_samples": expected(case),
                }
            ],
        }
        for case in CASES
        if case.step == step
    ]
    told = {"rule_files": [str(RULES)], "evaluation_interval": step, "tests": tests}
    (folder / f"{step}.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
    return f"{step}.yml"


def test_alerts_fire_when_they_must_and_not_otherwise(tmp_path: Path) -> None:
    steps = {case.step for case in CASES}
    promtool("test", "rules", *(written(tmp_path, each) for each in steps), cwd=tmp_path)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    names = {str(rule["alert"]) for rule in rules()}
    assert {case.alert for case in CASES if case.firing} == names
    assert {case.alert for case in CASES if not case.firing} == names
