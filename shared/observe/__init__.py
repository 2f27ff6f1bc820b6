"""How a process tells of itself: metrics for Prometheus, spans for a collector (OpenTelemetry).

The engine and the HTTP edge tell what happens through ports of their own
(`shared/storage/telemetry`, `shared/web/telemetry`, `shared/tracing`), and know nothing of what is
here. Nothing else imports the libraries, and neither is loaded where nobody asked for it. Nothing
is exported here.
"""
