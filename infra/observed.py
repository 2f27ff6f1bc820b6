"""What `make run` tells of itself, where the runner's environment asks for it.

    GANSU_METRICS_BIND=127.0.0.1:9464 GANSU_TRACES_ENDPOINT=http://127.0.0.1:4318 make run

On one machine every program needs a port of its own: the gateway's metrics are at the one that was
asked for, those of the services at the next ones, in the order of their names here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.settings import ObservationSettings


@dataclass(frozen=True, slots=True)
class Observed:
    """What was asked for. `ports` has those that were given out, by program."""

    metrics_bind: str = ""
    traces_endpoint: str = ""
    percent: str = "1"
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def traces_percent(self) -> str | None:
        """What the gateway is told."""
        return self.percent if self.traces_endpoint else None

    def environment(self, name: str) -> dict[str, str]:
        """What a program is told; the runner's own variables are not to reach it."""
        return {
            "GANSU_METRICS_BIND": self._bind(name),
            "GANSU_TRACES_ENDPOINT": self.traces_endpoint,
        }

    def _bind(self, name: str) -> str:
        if not self.metrics_bind:
            return ""
        host, _, port = self.metrics_bind.rpartition(":")
        self.ports.setdefault("gateway", int(port))
        return f"{host}:{self.ports.setdefault(name, int(port) + len(self.ports))}"

    def welcome(self) -> str:
        """For the person who started it, where there is anything to see."""
        host, _, _ = self.metrics_bind.rpartition(":")
        rows = [f"{host}:{port} {name}" for name, port in self.ports.items()]
        return f"\n  Metrics        {', '.join(rows)}" if rows else ""


def observed(environ: Mapping[str, str]) -> Observed:
    """What the runner's environment asks for. Raises SettingsError."""
    asked = ObservationSettings.from_environ({**environ, "GANSU_ENV": "development"})
    return Observed(asked.metrics_bind, asked.traces_endpoint, asked.traces_percent)
