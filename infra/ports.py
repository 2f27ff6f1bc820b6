"""A port that a person chose: whether it is free, and what to say if not."""

import errno
import socket


def trouble(port: int) -> str | None:
    """Why the gateway could not listen on this port of 127.0.0.1, or None."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except PermissionError:
        return f"Port {port} is for the system's own programs."
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return f"Port {port} is taken by another program."
    return None
