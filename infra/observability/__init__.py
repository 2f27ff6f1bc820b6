"""What an operator sees of the platform: dashboards, alert rules and where measures are collected.

    python -m infra.observability      writes grafana/dashboards/*.json from dashboards.py

The dashboards' JSON is committed, so that Grafana reads it as it is; a test fails while it differs
from what the generator writes. alerts.yml is kept by hand, with one section of docs/runbooks.md for
each of its alerts. Which measures there are is for the code that takes them to say.
"""
