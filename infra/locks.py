"""Locks that end with the processes that hold them, however those end.

A lock is a file with `flock`: it belongs to an open file, is inherited by a child that is given the
descriptor, and goes when the last process that has it is gone, `kill -9` included. So a held lock
says exactly that somebody still lives; no pid has to be guessed about.
"""

import fcntl
import os
from pathlib import Path


def take(path: Path) -> int | None:
    """A descriptor that holds the lock on `path`, or None where another process does.

    The descriptor is not inherited unless it is passed on.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(path: Path) -> bool:
    """Whether some process holds the lock."""
    descriptor = take(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def write_note(descriptor: int, text: str) -> None:
    """Leave word in a lock's file for those who find it held."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
