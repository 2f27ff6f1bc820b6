"""The command that writes the dashboards: `python -m infra.observability`."""

import json
from pathlib import Path

from infra.observability.dashboards import DASHBOARDS
from infra.observability.panels import Dashboard
from shared import terminal

FOLDER = Path(__file__).parent / "grafana" / "dashboards"


def text_of(dashboard: Dashboard) -> str:
    """The file of one dashboard, whole."""
    return json.dumps(dashboard.model(), ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Write every dashboard; a file of one that is no more is left for `git` to show."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.uid}.json").write_text(text_of(dashboard), encoding="utf-8")


if __name__ == "__main__":
    terminal.prepare()
    main()
