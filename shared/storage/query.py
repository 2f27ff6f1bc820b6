"""SQL of a replica: its tables, a catalogue's indexes, and the statements that read them.

All documents live in one table, keyed by collection and key, so that a collection this release
does not know is kept all the same. A declared index is a partial index on JSON expressions, which
SQLite keeps up by itself; applying an entry needs no knowledge of indexes.

Paths and names are checked, by the `Catalogue` or for each search, and stand in the SQL text
(SQLite uses an expression index only for the very same expression); every value is a bound
parameter.
"""

from shared.storage.access import Position, Search
from shared.storage.catalogue import PATH, Catalogue, Collection, Index, Value
from shared.storage.words import match_expression

TABLES = (
    """CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL,
        hash TEXT NOT NULL, time_ms INTEGER NOT NULL, bytes INTEGER NOT NULL)""",
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE docs (collection TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL,
        version INTEGER NOT NULL, sum INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (collection, key)) WITHOUT ROWID""",
    # A document's number in the text index, which knows rows by integer alone.
    """CREATE TABLE text_rows (id INTEGER PRIMARY KEY, collection TEXT NOT NULL, key TEXT NOT NULL,
        UNIQUE (collection, key))""",
    "CREATE VIRTUAL TABLE found USING fts5 (words, collection UNINDEXED, tokenize = 'unicode61')",
)

GET = "SELECT key, revision, version, sum, body FROM docs WHERE collection = ? AND key = ?"
_ROW = "docs.key, docs.revision, docs.version, docs.sum, docs.body"

Statement = tuple[str, list[object]]


def _path(field: str) -> str:
    return f"json_extract(body, '$.{field}')"


def _members(collection: Collection, index: Index) -> str:
    """The condition under which a document stands in an index; the same text in index and query."""
    present = "".join(f" AND {_path(field)} IS NOT NULL" for field in index.fields)
    return f"collection = '{collection.name}'{present}"


def index_statements(catalogue: Catalogue) -> list[str]:
    return [
        f"CREATE INDEX {index.name} ON docs"
        f" ({', '.join([*map(_path, index.fields), 'key'])}) WHERE {_members(collection, index)}"
        for collection, index in catalogue.indexes.values()
    ]


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


def search_statement(search: Search, *, after: Position | None) -> Statement | None:
    """Rows that match a search, without a limit; None where the text holds no word at all.

    Raises ValueError where a name in it is not a path into a document.
    """
    for name in (*search.equal, *search.between, search.order):
        if not PATH.fullmatch(name):
            raise ValueError(f"not a path into a document: {name!r}")
    where, values = ["docs.collection = ?"], list[object]([search.collection])
    source, rank = "docs", ""
    if search.text:
        match = match_expression(search.text)
        if match is None:
            return None
        source = (
            "found JOIN text_rows ON text_rows.id = found.rowid"
            " JOIN docs ON docs.collection = text_rows.collection AND docs.key = text_rows.key"
        )
        where.append("found MATCH ?")
        values.append(match)
        rank = "found.rank"
    for field, value in search.equal.items():
        where.append(f"{_path(field)} = ?")
        values.append(value)
    for field, (low, high) in search.between.items():
        where.append(f"{_path(field)} BETWEEN ? AND ?")
        values += [-(1 << 53) if low is None else low, 1 << 53 if high is None else high]
    first = (rank or "''") if search.order == "relevance" else _path(search.order)
    where.append(f"{first} IS NOT NULL")
    order = [first, "docs.key"]
    where, values = _behind(where, values, order, after, descending=search.descending)
    way = " DESC" if search.descending else ""
    sql = (
        f"SELECT {_ROW}, {', '.join(order)} FROM {source}"  # noqa: S608
        f" WHERE {' AND '.join(where)} ORDER BY {', '.join(o + way for o in order)}"
    )
    return sql, values
