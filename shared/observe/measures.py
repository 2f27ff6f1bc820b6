"""All that is measured: names, labels and what they mean. docs/observability.md has the same.

A label has few values, which the program knows beforehand: templates of routes, outcomes, kinds.
Every measure has the label `service` besides; the gateway's is `gateway`.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

REQUEST_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
STORE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CHANGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Together = Literal["", "livesum", "livemostrecent"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric. `buckets` are a histogram's upper bounds; `together` says what a gauge of several
    processes is: the sum of those that live, or what one of them said last.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()
    together: Together = ""


REQUESTS = Measure(
    "http_server_request_duration_seconds",
    "histogram",
    ("method", "route", "status"),
    "Time to answer a request, by its route's template; `-` is every address without a route.",
    REQUEST_SECONDS,
)
SHED = Measure(
    "gansu_shed_total",
    "counter",
    ("reason",),
    "Requests turned away with 429 or 503, by the problem's slug; readiness probes are not among"
    " them.",
)
SIGN_IN_FAILURES = Measure(
    "gansu_sign_in_failures_total",
    "counter",
    ("kind",),
    "Sign-ins that were refused: `code` of a citizen, `staff` by their factors, `delayed` for too"
    " many tries, `codes` that were not sent for too many, `enrolment`, `token` of an app.",
)
BATCH_SIZE = Measure(
    "gansu_commit_batch_size",
    "histogram",
    ("database",),
    "Changes in an entry that was stored.",
    CHANGES,
)
COMMITS = Measure(
    "gansu_commits_total",
    "counter",
    ("database", "outcome"),
    "Attempts to store an entry: `applied`; `lost_race` to another writer, to be run again;"
    " `undecided`, when nobody knows; `refused`, not tried or not taken by the store.",
)
QUEUE_WAIT = Measure(
    "gansu_commit_queue_wait_seconds",
    "histogram",
    ("database",),
    "How long a change waited until the committer took it up.",
    REQUEST_SECONDS,
)
QUEUE_DEPTH = Measure(
    "gansu_commit_queue_depth",
    "gauge",
    ("database",),
    "Changes that have no answer yet, in all processes of a container.",
    together="livesum",
)
REPLICA_LAG = Measure(
    "gansu_replica_lag_entries",
    "gauge",
    ("database",),
    "Entries that are known to be in the journal and are not in the container's replica.",
    together="livemostrecent",
)
REPLICA_APPLIED = Measure(
    "gansu_replica_applied_entry",
    "gauge",
    ("database",),
    "The entry at which the container's replica stands.",
    together="livemostrecent",
)
REPLICA_AGE = Measure(
    "gansu_replica_age_seconds",
    "gauge",
    ("database",),
    "Since when the replica is not known to be level with the journal's head. A container looks"
    " every five seconds at least.",
    together="livemostrecent",
)
UNAPPLICABLE = Measure(
    "gansu_unapplicable_entries",
    "gauge",
    ("database",),
    "1 while the journal has an entry, or a gap, that cannot be applied.",
    together="livemostrecent",
)
STORE_SECONDS_TAKEN = Measure(
    "gansu_store_request_duration_seconds",
    "histogram",
    ("operation", "outcome"),
    "Time of a request to the object store: `create`, `get`, `list`, `delete`, `versioning`."
    " `exists` and `absent` are answers, not errors.",
    STORE_SECONDS,
)
STORE_ERRORS = Measure(
    "gansu_store_errors_total",
    "counter",
    ("operation", "kind"),
    "Requests that the object store did not serve: `uncertain` (no answer that says what was done),"
    " `denied`, `misconfigured`.",
)
VIOLATIONS = Measure(
    "gansu_conservation_violations",
    "gauge",
    ("database",),
    "Documents whose books do not balance (stock, places), at one entry of the replica. Always 0.",
    together="livemostrecent",
)
CHECKED = Measure(
    "gansu_conservation_checked_timestamp_seconds",
    "gauge",
    ("database",),
    "When that was last looked at, in seconds since 1970.",
    together="livemostrecent",
)
CLOCK_OFFSET = Measure(
    "gansu_clock_offset_seconds",
    "gauge",
    (),
    "The object store's clock less this machine's, to about a second.",
    together="livemostrecent",
)
READY = Measure(
    "gansu_ready",
    "gauge",
    (),
    "1 where the container can serve, as its readiness route says.",
    together="livemostrecent",
)
GATEWAY_REQUESTS = Measure(
    "gansu_gateway_request_duration_seconds",
    "histogram",
    ("route", "status", "cache"),
    "Time of a request at the gateway: by the service's prefix, the class of its status (`2xx`) and"
    " what the cache had to do with it (`hit`, `miss`, …, `none`).",
    REQUEST_SECONDS,
)
NOTICES = Measure(
    "gansu_notices_total",
    "counter",
    ("outcome",),
    "Messages to people: `sent`; `later`, not taken now and to be tried again; `refused` for good;"
    " `given_up` after days. `service` is the notifier, `commerce-notices` say.",
)
NOTICES_LEVEL = Measure(
    "gansu_notices_level_timestamp_seconds",
    "gauge",
    (),
    "When the notifier had last read all of its service's journal and seen to all that was due, in"
    " seconds since 1970.",
    together="livemostrecent",
)
SPANS_LOST = Measure(
    "gansu_spans_lost_total",
    "counter",
    (),
    "Spans that were not taken by the collector, or for which there was no room.",
)

SERVICES = (
    *(REQUESTS, SHED, SIGN_IN_FAILURES, BATCH_SIZE, COMMITS, QUEUE_WAIT, QUEUE_DEPTH),
    *(REPLICA_LAG, REPLICA_APPLIED, REPLICA_AGE, UNAPPLICABLE, STORE_SECONDS_TAKEN, STORE_ERRORS),
    *(VIOLATIONS, CHECKED, CLOCK_OFFSET, READY, SPANS_LOST),
)
"""What a service measures."""

GATEWAY = (GATEWAY_REQUESTS, SHED, SPANS_LOST)
"""What the gateway's measures, from its log."""

NOTIFIERS = (NOTICES, NOTICES_LEVEL)
"""What a notifier measures."""
