"""A throw-away object store: moto's S3 in one process, `python -m infra.moto_store ‹port›`.

One request at a time, because moto is not atomic under threads; with that it is exact. It forgets
everything when it ends, asks for no credentials, and is for trying things out.
"""

import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from shared import terminal


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of each request."""


def server(port: int) -> BaseWSGIServer:
    """The store on 127.0.0.1, listening and not yet serving; port 0 is any free one."""
    application = DomainDispatcherApplication(create_backend_app)
    return make_server("127.0.0.1", port, application, threaded=False, request_handler=_Quiet)


if __name__ == "__main__":
    terminal.prepare()
    server(int(sys.argv[1])).serve_forever()
