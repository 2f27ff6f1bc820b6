"""What the storage engine does under every service, and the object store under that."""

from infra.observability.dashboards.queries import ENGINE, SERVICE, STORE, quantiles, rate, share
from infra.observability.panels import Dashboard, Panel, Query, Row

_CONFLICTS = share(
    rate("gansu_commits_total", f'{ENGINE},outcome="lost_race"', "database"),
    rate("gansu_commits_total", ENGINE, "database"),
)
STORAGE = Dashboard(
    "storage",
    "Smart Gansu: storage engine",
    "Group commit, races between containers, replicas, and the object store under them.",
    [("service", "gansu_ready"), ("database", "gansu_commits_total")],
    [
        Row(
            "Commits",
            [
                Panel(
                    "Batches by outcome",
                    "applied: stored. lost_race: another container's entry came first, and the"
                    " batch ran again. undecided: nobody knows yet, callers were told to repeat."
                    " refused: everyone in it was.",
                    "ops",
                    [
                        Query(
                            rate("gansu_commits_total", ENGINE, "database, outcome"),
                            "{{database}} {{outcome}}",
                        )
                    ],
                ),
                Panel(
                    "Changes in a batch",
                    "More callers at once make larger batches, not slower ones, up to 256.",
                    "short",
                    quantiles("gansu_commit_batch_size", ENGINE, "database", "{{database}}"),
                ),
                Panel(
                    "Races lost",
                    "Share of batches that ran in vain. Containers take turns, so it stays below a"
                    " fifteenth on a healthy store; far above, writes do not go to one container.",
                    "percentunit",
                    [Query(_CONFLICTS, "{{database}}")],
                    limit=0.5,
                ),
            ],
        ),
        Row(
            "Waiting to write",
            [
                Panel(
                    "Wait until a batch begins",
                    "The middle, and the slowest hundredth. A caller is patient for 15 s.",
                    "s",
                    quantiles(
                        "gansu_commit_queue_wait_seconds", ENGINE, "database", "{{database}}"
                    ),
                    width=12,
                ),
                Panel(
                    "Callers in the queue",
                    "The fullest process of each database.",
                    "short",
                    [
                        Query(
                            f"max by (database) (gansu_commit_queue_depth{{{ENGINE}}})",
                            "{{database}}",
                        )
                    ],
                    width=12,
                ),
            ],
        ),
        Row(
            "Replicas",
            [
                Panel(
                    "Entries behind the head",
                    "What a container knows of and has not applied yet.",
                    "short",
                    [
                        Query(
                            f"max by (database, instance) (gansu_replica_lag_entries{{{ENGINE}}})",
                            "{{database}} {{instance}}",
                        )
                    ],
                ),
                Panel(
                    "Since it was known to be level",
                    "A container looks every five seconds at least, and at each request.",
                    "s",
                    [
                        Query(
                            f"max by (database, instance) (gansu_replica_age_seconds{{{ENGINE}}})",
                            "{{database}} {{instance}}",
                        )
                    ],
                ),
                Panel(
                    "Entry that each stands at",
                    "Lines of one database run together; one that stays flat has stopped.",
                    "short",
                    [
                        Query(
                            "max by (database, instance)"
                            f" (gansu_replica_applied_entry{{{ENGINE}}})",
                            "{{database}} {{instance}}",
                        )
                    ],
                ),
                Panel(
                    "Entries that cannot be applied",
                    "1 while a journal entry is missing, damaged or unreadable.",
                    "short",
                    [
                        Query(
                            f"max by (database, instance) (gansu_unapplicable_entries{{{ENGINE}}})",
                            "{{database}} {{instance}}",
                        )
                    ],
                    limit=1,
                    width=12,
                ),
                Panel(
                    "Clock against the store's",
                    "From 30 s on nothing is written.",
                    "s",
                    [
                        Query(
                            "max by (service, instance)"
                            f" (abs(gansu_clock_offset_seconds{{{SERVICE}}}))",
                            "{{service}} {{instance}}",
                        )
                    ],
                    limit=10,
                    width=12,
                ),
            ],
        ),
        Row(
            "The object store",
            [
                Panel(
                    "Requests",
                    "By operation. An idle container asks for nothing.",
                    "reqps",
                    [
                        Query(
                            rate(f"{STORE}_count", SERVICE, "service, operation"),
                            "{{service}} {{operation}}",
                        )
                    ],
                ),
                Panel(
                    "Time a request takes",
                    "Every write waits for a create, every fresh read for a get.",
                    "s",
                    quantiles(STORE, SERVICE, "operation", "{{operation}}"),
                    limit=1,
                ),
                Panel(
                    "Errors",
                    "By operation and kind.",
                    "reqps",
                    [
                        Query(
                            rate("gansu_store_errors_total", SERVICE, "service, operation, kind"),
                            "{{service}} {{operation}} {{kind}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)
