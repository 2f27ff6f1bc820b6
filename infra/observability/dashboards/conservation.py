"""Whether the books are right, and what comes before it when they are not."""

from infra.observability.dashboards.queries import ENGINE, rate
from infra.observability.panels import Dashboard, Panel, Query, Row

CONSERVATION = Dashboard(
    "conservation",
    "Smart Gansu: conservation",
    "Whether what was sold, booked and held adds up to what there is, in every database.",
    [("service", "gansu_ready"), ("database", "gansu_conservation_violations")],
    [
        Row(
            "The books",
            [
                Panel(
                    "Violations",
                    "What the last check found that does not add up. It is 0, or people get less"
                    " than they were promised.",
                    "short",
                    [
                        Query(
                            f"max by (database) (gansu_conservation_violations{{{ENGINE}}})",
                            "{{database}}",
                        )
                    ],
                    limit=1,
                    kind="stat",
                    width=12,
                ),
                Panel(
                    "Since the last check",
                    "A check that does not run finds nothing.",
                    "s",
                    [
                        Query(
                            "time() - max by (database)"
                            f" (gansu_conservation_checked_timestamp_seconds{{{ENGINE}}})",
                            "{{database}}",
                        )
                    ],
                    limit=3600,
                    kind="stat",
                    width=12,
                ),
                Panel(
                    "Violations over time",
                    "When it began; the entry that stood then is where to look in the journal.",
                    "short",
                    [
                        Query(
                            f"max by (database) (gansu_conservation_violations{{{ENGINE}}})",
                            "{{database}}",
                        )
                    ],
                    limit=1,
                    width=12,
                ),
                Panel(
                    "The newest entry",
                    "How far the journal was, as the furthest container has it.",
                    "short",
                    [
                        Query(
                            f"max by (database) (gansu_replica_applied_entry{{{ENGINE}}})",
                            "{{database}}",
                        )
                    ],
                    width=12,
                ),
            ],
        ),
        Row(
            "What may come before it",
            [
                Panel(
                    "Outcomes that nobody knew",
                    "Batches whose callers were told to repeat.",
                    "ops",
                    [
                        Query(
                            rate(
                                "gansu_commits_total", f'{ENGINE},outcome="undecided"', "database"
                            ),
                            "{{database}}",
                        )
                    ],
                    width=12,
                ),
                Panel(
                    "Entries that cannot be applied",
                    "A damaged journal stops reads of what came later, and all writes.",
                    "short",
                    [
                        Query(
                            f"max by (database) (gansu_unapplicable_entries{{{ENGINE}}})",
                            "{{database}}",
                        )
                    ],
                    limit=1,
                    width=12,
                ),
            ],
        ),
    ],
)
