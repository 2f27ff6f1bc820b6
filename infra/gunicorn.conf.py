# ruff: noqa: N999 - a configuration file of gunicorn's, not a module
"""How gunicorn runs a service, on a laptop and in a container alike.

    gunicorn --config infra/gunicorn.conf.py --bind :8000 services.commerce.wsgi:app

What differs from place to place (`--bind`, `--workers`) comes from the command line; how many
threads, from the service's settings.
"""

import gc
import importlib
import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared import settings
from shared.observe import observer
from shared.web import greenlets

_settings, _observation = settings.load(), settings.load_observation()

# Two processes share a container's replica: one runs Python while the other waits for the store,
# and a worker that dies leaves one that serves. The application is loaded in each after the fork,
# because databases, their connections and their threads must not cross one.
workers = 2
preload_app = False
worker_class = "shared.web.greenlets.Worker"
threads = _settings.threads

# Only the gateway connects, and keeps its connections. They stay open for longer here than it
# keeps them idle (30 s), or it would send a POST into a connection that is just closing.
keepalive = 75
backlog = 1024

# A change may wait 12 s for the store; a stopping worker lets it have its answer. Whoever ends a
# container has to give it longer than this (docs/serverless.md).
graceful_timeout = 15
timeout = 30

# Workers live on: nothing leaks that a restart would hide, and each restart costs a cold replica.
max_requests = 0

# Heartbeats go to memory where there is such a place: a busy disk would look like a dead worker.
_memory = Path("/dev/shm")  # noqa: S108 - gunicorn makes a file of its own there
worker_tmp_dir = str(_memory) if _memory.is_dir() else None

# The C parser, a fifth more requests, wherever it could be compiled; images always have it.
http_parser = "auto"

# The gateway replaces what clients say about their way here; of these one header counts.
forwarded_allow_ips = "*"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
forwarder_headers = ""

# A service writes its own log of requests, with their ids; the socket would be in the home folder.
accesslog = None
errorlog = "-"
control_socket_disable = True

# What the processes count is added up, and served on a port of its own, by one more process.
_counted = observer.folder_of(_settings)
_exposition: Any = None
if _observation.metrics_bind:
    # The library's own way to be told; it looks when it is first imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counted)
    _exposition = importlib.import_module("shared.observe.exposition")


def on_starting(master: Any) -> None:
    """In the master, before there is anything else: import what an application is made of, once
    for all processes.

    Importing a module only defines things (docs/architecture.md), so that nothing but memory is
    shared; `wsgi` itself, which acts, is left to each process. A container on one core starts in
    half the time, and a process that died is replaced in a moment.
    """
    if _exposition is not None:
        _exposition.prepare(_counted)
    service = re.fullmatch(r"services\.(\w+)\.wsgi:app", master.app.app_uri)
    if service:
        importlib.import_module("shared.assembly")
        importlib.import_module(f"services.{service[1]}.app")
        # What stands by now stays: collecting it would only unshare its memory.
        gc.collect()
        gc.freeze()


def when_ready(server: Any) -> None:
    """In the master, before the first worker."""

    def let_go() -> None:
        for listener in server.LISTENERS:
            listener.sock.close()

    if _exposition is not None:
        bind = _observation.metrics_bind
        server.metrics_pid = _exposition.start(_counted, bind, let_go)


def on_exit(server: Any) -> None:
    """In the master, last of all."""
    with suppress(AttributeError, ProcessLookupError):  # it never began, or has ended by itself
        os.kill(server.metrics_pid, signal.SIGTERM)


def child_exit(server: object, worker: Any) -> None:
    """In the master, once a worker has ended."""
    greenlets.ended(server, worker)
    if _exposition is not None:
        _exposition.ended(_counted, worker.pid)
