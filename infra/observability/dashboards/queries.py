"""PromQL that several dashboards ask with: rates, shares and quantiles, of what is chosen above.

Rates are over Grafana's own interval, so that zooming out stays cheap. A share has no line where
nothing was asked, rather than one at zero.
"""

from infra.observability.panels import Panel, Query

SERVED = 'service=~"$service",route!~".*/health/.*"'
"""Requests of people: probes of a container's health are none."""
ENGINE = 'service=~"$service",database=~"$database"'
SERVICE = 'service=~"$service"'

REQUESTS = "http_server_request_duration_seconds"
GATEWAY = "gansu_gateway_request_duration_seconds"
STORE = "gansu_store_request_duration_seconds"


def rate(measure: str, chosen: str, by: str) -> str:
    """Of a counter, a second, summed up by these labels."""
    return f"sum by ({by}) (rate({measure}{{{chosen}}}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """A part of a whole that is not nothing."""
    return f"({part}) / ({whole} > 0)"


def quantile(measure: str, chosen: str, by: str, of: float) -> str:
    """Of a histogram: what this share of its observations was below."""
    return f"histogram_quantile({of}, {rate(f'{measure}_bucket', chosen, f'le, {by}')})"


def quantiles(measure: str, chosen: str, by: str, legend: str) -> tuple[Query, ...]:
    """The middle, and the slowest hundredth."""
    return tuple(
        Query(quantile(measure, chosen, by, of), f"{legend} p{of * 100:.0f}") for of in (0.5, 0.99)
    )


SHED = Panel(
    "Turned away",
    "Requests answered 429 or 503 before any work was done for them, by what was full. Clients come"
    " back by Retry-After.",
    "reqps",
    [Query(rate("gansu_shed_total", SERVICE, "service, reason"), "{{service}} {{reason}}")],
)
