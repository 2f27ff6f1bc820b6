"""SQL of a replica: its tables, a catalogue's indexes, and the statements that read them.

All documents live in one table, keyed by collection and key, so that a collection this release
does not know is kept all the same. A declared index is a partial index on JSON expressions, which
SQLite keeps up by itself; applying an entry needs no knowledge of indexes.

Paths and names are checked by the `Catalogue`, and stand in the SQL text
(SQLite uses an expression index only for the very same expression); every value is a bound
parameter.
"""

from shared.storage.access import Position
from shared.storage.catalogue import Catalogue, Collection, Conserved, Index, Value

TABLES = (
    """CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL,
        hash TEXT NOT NULL, time_ms INTEGER NOT NULL, bytes INTEGER NOT NULL)""",
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE docs (collection TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL,
        version INTEGER NOT NULL, sum INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (collection, key)) WITHOUT ROWID""",
    # What was deleted of searchable collections, for the search index to hear of.
    """CREATE TABLE gone (revision INTEGER PRIMARY KEY, collection TEXT NOT NULL,
        key TEXT NOT NULL)""",
)

GET = "SELECT key, revision, version, sum, body FROM docs WHERE collection = ? AND key = ?"
ONE = """SELECT key, revision, version, sum, body, (SELECT seq FROM head) FROM docs
    WHERE collection = ? AND key = ?"""  # as a join it takes four times as long
GET_ALL = """SELECT key, revision, version, sum, body FROM docs
    WHERE collection = ? AND key IN (SELECT value FROM json_each(?))"""
_ROW = "docs.key, docs.revision, docs.version, docs.sum, docs.body"

Statement = tuple[str, list[object]]


def _path(field: str) -> str:
    return f"json_extract(body, '$.{field}')"


def _members(collection: Collection, index: Index) -> str:
    """The condition under which a document stands in an index; the same text in index and query."""
    present = "".join(f" AND {_path(field)} IS NOT NULL" for field in index.fields)
    return f"collection = '{collection.name}'{present}"


def index_statements(catalogue: Catalogue) -> list[str]:
    declared = [
        f"CREATE INDEX {index.name} ON docs"
        f" ({', '.join([*map(_path, index.fields), 'key'])}) WHERE {_members(collection, index)}"
        for collection, index in catalogue.indexes.values()
    ]
    return [*declared, f"CREATE INDEX searched ON docs (revision) WHERE {_searched(catalogue)}"]


def _searched(catalogue: Catalogue) -> str:
    names = [f"'{c.name}'" for c in catalogue.collections.values() if c.searchable]
    return f"collection IN ({', '.join(names)})"


def changed_statement(catalogue: Catalogue, revision: int) -> Statement:
    """Documents of searchable collections written after `revision`, first written first."""
    sql = (
        f"SELECT collection, {_ROW} FROM docs INDEXED BY searched"  # noqa: S608
        f" WHERE {_searched(catalogue)} AND revision > ? ORDER BY revision LIMIT ?"
    )
    return sql, [revision]


GONE = "SELECT collection, key, revision FROM gone WHERE revision > ? ORDER BY revision LIMIT ?"


def unbalanced_statement(law: Conserved) -> str:
    """How many documents, or rows within them, of a collection (its one value) break its law."""
    source, row = ("json_each(body, ?)", "value") if law.each else ("(SELECT 1)", "body")
    parts = [f"json_extract({row}, '$.{part}')" for part in law.parts]
    balanced = " AND ".join(
        [f"{' + '.join(parts)} = {_path(law.whole)}", *(f"{part} >= 0" for part in parts)]
    )
    # What is missing, or is no number, makes the condition NULL: no balance either.
    return (
        f"SELECT count(*) FROM docs, {source}"  # noqa: S608
        f" WHERE collection = ? AND ({balanced}) IS NOT TRUE"
    )


def find_statement(
    catalogue: Catalogue,
    index_name: str,
    equal: tuple[Value, ...],
    *,
    after: Position | None,
    descending: bool,
    until: Value | None,
) -> Statement:
    """Rows of one index in order, without a limit: (document row …, position …)."""
    collection, index = catalogue.indexes[index_name]
    order = [*map(_path, index.fields[len(equal) :]), "key"]
    where, values = [_members(collection, index)], list[object](equal)
    where += [f"{_path(field)} = ?" for field in index.fields[: len(equal)]]
    if until is not None:
        where.append(f"{order[0]} <= ?")
        values.append(until)
    where, values = _behind(where, values, order, after, descending=descending)
    way = " DESC" if descending else ""
    sql = (
        f"SELECT {_ROW}, {', '.join(order)} FROM docs INDEXED BY {index.name}"  # noqa: S608
        f" WHERE {' AND '.join(where)} ORDER BY {', '.join(o + way for o in order)}"
    )
    return sql, values


def _behind(
    where: list[str],
    values: list[object],
    order: list[str],
    after: Position | None,
    *,
    descending: bool,
) -> tuple[list[str], list[object]]:
    if after is None:
        return where, values
    marks = ", ".join("?" * len(order))
    where = [*where, f"({', '.join(order)}) {'<' if descending else '>'} ({marks})"]
    return where, [*values, *after]
