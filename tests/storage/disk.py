"""A disk that a test fills up and frees again."""

import sqlite3
from pathlib import Path

from shared.storage import replica as replicas
from tests.storage.world import Container


class Disk:
    """A disk whose space a test takes away: SQLite's files stay as long as they are."""

    def __init__(self) -> None:
        self.full = False
        self._opened = replicas._opened

    def connect(self, path: Path, mode: str) -> sqlite3.Connection:
        connection = self._opened(path, mode)
        if self.full:
            limit(connection)
        return connection

    def fill(self, container: Container) -> None:
        self.full = True
        for session in list(container.replica._sessions):
            limit(session.connection)

    def free(self) -> None:
        self.full = False


def limit(connection: sqlite3.Connection) -> None:
    """No page more than the file has; SQLite then says that the disk is full."""
    [(pages,)] = connection.execute("PRAGMA page_count").fetchall()
    connection.execute(f"PRAGMA max_page_count = {max(pages, 1)}")
