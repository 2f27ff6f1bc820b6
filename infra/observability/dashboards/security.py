"""Who is being kept out, and whether somebody tries doors."""

from infra.observability.dashboards.queries import GATEWAY, REQUESTS, SERVED, SHED, rate, share
from infra.observability.panels import Dashboard, Panel, Query, Row

SECURITY = Dashboard(
    "security",
    "Smart Gansu: security",
    "Who is being kept out, and whether somebody tries doors.",
    [("service", "gansu_ready")],
    [
        Row(
            "Signing in",
            [
                Panel(
                    "Sign-ins that failed",
                    "By kind: wrong codes of citizens, passwords and second factors of staff.",
                    "ops",
                    [Query(rate("gansu_sign_in_failures_total", "", "kind"), "{{kind}}")],
                    width=12,
                ),
                Panel(
                    "Against the same hour yesterday",
                    "How many times as many as a day ago.",
                    "short",
                    [
                        Query(
                            share(
                                "sum by (kind) (rate(gansu_sign_in_failures_total[1h]))",
                                "sum by (kind) (rate(gansu_sign_in_failures_total[1h] offset 1d))",
                            ),
                            "{{kind}}",
                        )
                    ],
                    limit=5,
                    width=12,
                ),
            ],
        ),
        Row(
            "Refused",
            [
                Panel(
                    "Without a valid token (401)",
                    "Rises when keys roll and a service does not see the new ones, too.",
                    "reqps",
                    [
                        Query(
                            rate(f"{REQUESTS}_count", f'{SERVED},status="401"', "service"),
                            "{{service}}",
                        )
                    ],
                ),
                Panel(
                    "Without the right (403)",
                    "An app that asks for more than its scopes, or somebody who tries.",
                    "reqps",
                    [
                        Query(
                            rate(f"{REQUESTS}_count", f'{SERVED},status="403"', "service, route"),
                            "{{service}} {{route}}",
                        )
                    ],
                ),
                Panel(
                    "Not found (404)",
                    "What belongs to others is not found either; many on one route are guesses.",
                    "reqps",
                    [
                        Query(
                            "topk(10, "
                            + rate(f"{REQUESTS}_count", f'{SERVED},status="404"', "service, route")
                            + ")",
                            "{{service}} {{route}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Too much",
            [
                SHED,
                Panel(
                    "Refused for their rate (429)",
                    "By a service, for what one account may take.",
                    "reqps",
                    [
                        Query(
                            rate(f"{REQUESTS}_count", f'{SERVED},status="429"', "service, route"),
                            "{{service}} {{route}}",
                        )
                    ],
                ),
                Panel(
                    "Client errors at the gateway (4xx)",
                    "Its own limits on rates, sizes and malformed requests among them.",
                    "reqps",
                    [Query(rate(f"{GATEWAY}_count", 'status="4xx"', "route"), "{{route}}")],
                ),
            ],
        ),
    ],
)
