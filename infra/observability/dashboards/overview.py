"""Whether people are served: the page that is looked at first."""

from infra.observability.dashboards.queries import (
    GATEWAY,
    REQUESTS,
    SERVED,
    SERVICE,
    SHED,
    STORE,
    quantile,
    quantiles,
    rate,
    share,
)
from infra.observability.panels import Dashboard, Panel, Query, Row, Traces

_ERRORS = share(
    rate(f"{REQUESTS}_count", f'{SERVED},status=~"5..",status!="503"', "service"),
    rate(f"{REQUESTS}_count", SERVED, "service"),
)
OVERVIEW = Dashboard(
    "overview",
    "Smart Gansu: overview",
    "Whether people are served: traffic, errors, latency and how full each service is.",
    [("service", "gansu_ready")],
    [
        Row(
            "Now",
            [
                Panel(
                    "Containers that are ready",
                    "How many can do their work; the rest say why at /‹service›/health/ready.",
                    "short",
                    [Query(f"sum by (service) (gansu_ready{{{SERVICE}}})", "{{service}}")],
                    kind="stat",
                ),
                Panel(
                    "Server errors",
                    "Share of requests answered 5xx, without 503, which asks to come back.",
                    "percentunit",
                    [Query(_ERRORS, "{{service}}")],
                    limit=0.01,
                    kind="stat",
                ),
                Panel(
                    "Slowest hundredth",
                    "99 of 100 requests were faster.",
                    "s",
                    [Query(quantile(REQUESTS, SERVED, "service", 0.99), "{{service}}")],
                    limit=2,
                    kind="stat",
                ),
            ],
        ),
        Row(
            "At the gateway: what clients see",
            [
                Panel(
                    "Requests",
                    "All that clients asked, those that no service saw among them.",
                    "reqps",
                    [Query(rate(f"{GATEWAY}_count", "", "status"), "{{status}}")],
                ),
                Panel(
                    "Time until the last byte",
                    "As the gateway measures it: a slow service, or clients on slow networks.",
                    "s",
                    quantiles(GATEWAY, "", "route", "{{route}}"),
                ),
                Panel(
                    "Answered from the cache",
                    "Share of requests whose answer the gateway had.",
                    "percentunit",
                    [
                        Query(
                            share(
                                rate(f"{GATEWAY}_count", 'cache="hit"', "route"),
                                rate(f"{GATEWAY}_count", "", "route"),
                            ),
                            "{{route}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Notices: what people are told",
            [
                Panel(
                    "Messages",
                    "What became of them; `later` are tried again.",
                    "ops",
                    [
                        Query(
                            rate("gansu_notices_total", "", "service, outcome"),
                            "{{service}} {{outcome}}",
                        )
                    ],
                ),
                Panel(
                    "Late",
                    "Since when a notifier has not seen to all that its journal says.",
                    "s",
                    [
                        Query(
                            "time() - max by (service) (gansu_notices_level_timestamp_seconds)",
                            "{{service}}",
                        )
                    ],
                    limit=300,
                ),
            ],
        ),
        Row(
            "Traffic and errors",
            [
                Panel(
                    "Requests",
                    "What reached each service, without probes of its health.",
                    "reqps",
                    [Query(rate(f"{REQUESTS}_count", SERVED, "service"), "{{service}}")],
                ),
                Panel(
                    "Server errors",
                    "Share of requests answered 5xx, without 503.",
                    "percentunit",
                    [Query(_ERRORS, "{{service}}")],
                    limit=0.01,
                ),
                SHED,
                Panel(
                    "The busiest routes",
                    "Ten of them.",
                    "reqps",
                    [
                        Query(
                            f"topk(10, {rate(f'{REQUESTS}_count', SERVED, 'service, route')})",
                            "{{service}} {{route}}",
                        )
                    ],
                    width=12,
                ),
                Panel(
                    "Answers by status",
                    "Client errors that rise together with a release are often ours.",
                    "reqps",
                    [
                        Query(
                            rate(f"{REQUESTS}_count", SERVED, "service, status"),
                            "{{service}} {{status}}",
                        )
                    ],
                    width=12,
                ),
            ],
        ),
        Row(
            "Latency",
            [
                Panel(
                    "Each service",
                    "The middle, and the slowest hundredth.",
                    "s",
                    quantiles(REQUESTS, SERVED, "service", "{{service}}"),
                    width=12,
                ),
                Panel(
                    "The slowest routes",
                    "Ten of them, by their slowest hundredth.",
                    "s",
                    [
                        Query(
                            f"topk(10, {quantile(REQUESTS, SERVED, 'service, route', 0.99)})",
                            "{{service}} {{route}}",
                        )
                    ],
                    width=12,
                ),
            ],
        ),
        Row(
            "How full",
            [
                Panel(
                    "Callers who wait to write",
                    "A process lets half its threads' number wait and turns further ones away.",
                    "short",
                    [
                        Query(
                            f"max by (service, database) (gansu_commit_queue_depth{{{SERVICE}}})",
                            "{{database}}",
                        )
                    ],
                ),
                Panel(
                    "Their wait",
                    "From a caller's change until its batch began.",
                    "s",
                    quantiles(
                        "gansu_commit_queue_wait_seconds", SERVICE, "database", "{{database}}"
                    ),
                ),
                Panel(
                    "Store requests",
                    "What each service asks of the object store.",
                    "reqps",
                    [Query(rate(f"{STORE}_count", SERVICE, "service"), "{{service}}")],
                ),
            ],
        ),
        Row(
            "One by one",
            [
                Traces(
                    "Requests that failed or took long",
                    "The trace id is the request id that clients see and logs name.",
                    "{ status = error || duration > 1s }",
                    width=16,
                ),
                Panel(
                    "Spans lost",
                    "What is missing from traces: the collector is away, or has no room.",
                    "ops",
                    [Query(rate("gansu_spans_lost_total", SERVICE, "service"), "{{service}}")],
                ),
            ],
        ),
    ],
)
