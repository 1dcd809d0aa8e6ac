"""Tables of a program's own, in the database that has Holdfast's tables too."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from surrealdb import RecordID

from holdfast.errors import UsageError
from holdfast.storage.database import Database, StatementFailed, retry_conflicts
from holdfast.storage.database.migrate import SERVER_MIGRATIONS

Row = dict[str, Any]
"""A row: its fields by name; `id` is `table:key`."""
Rows = list[Row]

DEFINED = re.compile(r"DEFINE TABLE (?:IF NOT EXISTS |OVERWRITE )?(\w+)")
HOLDFASTS = frozenset(DEFINED.findall("\n".join(SERVER_MIGRATIONS))) | {"schema_version"}
"""Names of the tables of Holdfast."""
INDEX = re.compile(r"vector_[0-9a-f]{32}_[ab]")
"""Tables of vectors' search indexes, which a server has."""
TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MAX_KEY_CHARS = 1_000
MAX_ROW_CHARS = 1_000_000  # of its JSON
MAX_DEPTH = 50  # levels of lists and objects
MAX_ROWS = 10_000  # in one answer
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
MAX_INTEGER = 2**63 - 1

EXACT: dict[type, Callable[[Any], Any]] = {bool: bool, str: str.__str__, int: int.__int__, float: float.__float__}
"""Makes plain values of members of enums and of numbers of numerical libraries."""

CREATE = "CREATE $row CONTENT $fields"
UPDATE = "UPDATE $row MERGE $fields"
UPSERT = "UPSERT $row CONTENT $fields"
DELETE = "DELETE $row RETURN BEFORE"
SELECT_ROW = "SELECT * FROM $row"
SELECT_TABLE = "SELECT * FROM type::table($table) LIMIT $limit"
EXISTS = "already exists"
NO_TABLE = re.compile(r"The table '.*' does not exist")


class OwnTables:
    """Creates, selects, updates and deletes rows in tables of a program's own, and runs queries over all tables.

        async with get_surrealdb_client() as db:
            await db.create("customer:meyer", {"name": "Meyer", "pieces": 12})
            [meyer] = await db.select("customer:meyer")

    A row is named `table:key`, where the key is any text; a table comes into being with its first row. Fields hold JSON
    values and aware datetimes. Each method may raise StoreUnavailable: the database is unreachable, or rejected the
    statement; calls that name a key can be repeated safely.

    Args:
        database: shared with the rest of the process; `close` leaves it open.
    """

    def __init__(self, database: Database) -> None:
        self._shared = database
        self._is_closed = False

    async def create(self, target: str, data: Mapping[str, Any] | None = None) -> Row:
        """Creates a row and returns it; one that exists with the same fields is returned as it is.

        Args:
            target: the row, as `customer:meyer`, or a table, which gives the row a new key.
            data: its fields, at most 1,000,000 characters as JSON; fields that are `None` are not stored.

        Raises:
            UsageError: an argument is not accepted, the table is Holdfast's, or the row exists with other fields.
        """
        row, fields = _row(target), _fields(target, data)
        try:
            [[made]] = await self._write(CREATE, target, row=row, fields=fields)
        except StatementFailed as error:
            if EXISTS not in str(error):
                raise
        else:
            return _as_row(made)
        for found in await self.select(_name(row)):
            if _without_none(found) == _without_none({**fields, "id": _name(row)}):
                return found
        raise UsageError(f"row {target!r} exists with other fields: `update` or `upsert` changes it")

    async def select(self, target: str, *, limit: int = 1_000) -> Rows:
        """Returns the rows of a table in the order of their keys, or the one row, if it exists.

        Args:
            target: a table or a row.
            limit: maximum number of rows, 1 to 10,000.

        Raises:
            UsageError: an argument is not accepted, or the table is Holdfast's.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_ROWS:
            raise UsageError(f"limit={limit!r:.80} is not accepted: 1 to {MAX_ROWS:,} rows")
        table, key = _place(target)
        try:
            if key is not None:
                [found] = await self._database.run(SELECT_ROW, row=RecordID(table, key))
            else:
                [found] = await self._database.run(SELECT_TABLE, table=table, limit=limit)
        except StatementFailed as error:
            if not NO_TABLE.search(str(error)):
                raise
            return []
        return [_as_row(each) for each in found]

    async def update(self, target: str, data: Mapping[str, Any]) -> Row | None:
        """Changes the given fields of a row and returns it; `None` if there is no such row.

        Args:
            target: the row.
            data: new values by name; `None` removes a field.

        Raises:
            UsageError: an argument is not accepted, or the table is Holdfast's.
        """
        return await self._changed(UPDATE, target, fields=_fields(target, data))

    async def upsert(self, target: str, data: Mapping[str, Any]) -> Row:
        """Creates a row, or replaces all of its fields, and returns it.

        Args:
            target: the row.
            data: its fields, as in `create`.

        Raises:
            UsageError: an argument is not accepted, or the table is Holdfast's.
        """
        row, fields = _existing(target), _fields(target, data)
        [[made]] = await self._write(UPSERT, target, row=row, fields=fields)
        return _as_row(made)

    async def delete(self, target: str) -> bool:
        """Deletes a row and returns whether it existed.

        Args:
            target: the row; a whole table is not deleted.

        Raises:
            UsageError: it does not name a row, or the table is Holdfast's.
        """
        return await self._changed(DELETE, target) is not None

    async def query(self, statement: str, /, **values: Any) -> Any:
        """Runs statements that read, over all tables, and returns the result of the last one.

        With the embedded database, they run in a process of their own, on a copy of the files that has everything that
        was acknowledged before.

        Args:
            statement: SurrealQL. The database itself prevents writes.
            values: the values of `$name` in it.

        Raises:
            UsageError: a statement writes, takes too long, or returns more than 10,000 rows.
        """
        if not isinstance(statement, str) or not statement.strip():
            raise UsageError(f"a query is text in SurrealQL, not {statement!r:.80}")
        results = await self._database.read(statement, **{n: _checked(each, f"${n}") for n, each in values.items()})
        return _plain(results[-1]) if results else None

    async def close(self) -> None:
        """Ends the use of this object; the connection is the process's, and stays open."""
        self._is_closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _database(self) -> Database:
        if self._is_closed:
            raise UsageError("this client is closed: get another one from get_surrealdb_client()")
        return self._shared

    async def _changed(self, statement: str, target: str, **values: Any) -> Row | None:
        row = _existing(target)
        try:
            [found] = await self._write(statement, target, row=row, **values)
        except StatementFailed as error:
            if not NO_TABLE.search(str(error)):
                raise
            return None
        return _as_row(found[0]) if found else None

    async def _write(self, statement: str, target: str, **values: Any) -> list[Any]:
        database = self._database
        return await retry_conflicts(lambda: database.run(statement, **values), f"row {target!r}")


def _place(target: str) -> tuple[str, str | None]:
    """Returns the table of a target, and the key if it names a row.

    Raises:
        UsageError: it is not a table of the program's own.
    """
    if not isinstance(target, str):
        raise UsageError(f"a table or a row is named by text, as 'customer' or 'customer:meyer', not {target!r:.80}")
    table, colon, key = target.partition(":")
    if not TABLE.fullmatch(table):
        raise UsageError(f"table {table!r:.80} is not accepted: letters of ASCII, digits and _, at most 64 characters")
    if table.lower() in HOLDFASTS or INDEX.fullmatch(table.lower()):
        raise UsageError(
            f"table {table!r} is one of Holdfast's: use another name for your own; `query` reads Holdfast's tables"
        )
    if colon and not 1 <= len(key) <= MAX_KEY_CHARS:
        raise UsageError(f"row {target!r:.80} is not accepted: its key has {len(key)} characters, not 1 to 1,000")
    return table, _checked(key, "the key") if colon else None


def _row(target: str) -> RecordID:
    """Returns a row's id; a table gets a new key, so that a repeated statement does not create a second row."""
    table, key = _place(target)
    return RecordID(table, uuid.uuid4().hex if key is None else key)


def _existing(target: str) -> RecordID:
    table, key = _place(target)
    if key is None:
        raise UsageError(f"{target!r} is a table: name a row of it, as '{table}:key'")
    return RecordID(table, key)


def _fields(target: str, data: Mapping[str, Any] | None) -> Row:
    """Returns the fields of a row to write, checked.

    Raises:
        UsageError: they cannot be stored.
    """
    if data is not None and not isinstance(data, Mapping):
        raise UsageError(f"the fields of a row are a dict, not {type(data).__name__}")
    fields: Row = _checked(dict(data or {}), "the row")
    if fields.get("id", target) != target:
        raise UsageError(f"id={fields['id']!r:.80} is not the row {target!r}: a row's id is its target")
    fields.pop("id", None)
    if (size := len(json.dumps(fields, default=str))) > MAX_ROW_CHARS:
        raise UsageError(f"the row has {size:,} characters as JSON; at most {MAX_ROW_CHARS:,} are accepted")
    return fields


def _checked(value: Any, where: str, depth: int = 0) -> Any:
    """Returns a value that the database stores exactly.

    Raises:
        UsageError: it does not.
    """
    if depth > MAX_DEPTH:
        raise UsageError(f"{where:.80} is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, list | tuple):
        return [_checked(each, f"{where}[{place}]", depth + 1) for place, each in enumerate(value)]
    if isinstance(value, Mapping) and all(map(_is_text, value)):
        return {name: _checked(each, f"{where}.{name}", depth + 1) for name, each in value.items()}
    if _is_storable(value):
        return next((exact(value) for kind, exact in EXACT.items() if isinstance(value, kind)), value)
    raise UsageError(
        f"{where:.80} cannot be stored: {value!r:.80}. A field holds text without NUL, finite numbers of 64 bits, "
        "booleans, aware datetimes, lists, and dicts with names that are text"
    )


def _is_storable(value: Any) -> bool:
    match value:
        case None | bool():
            return True
        case int():
            return -MAX_INTEGER - 1 <= value <= MAX_INTEGER
        case float():
            return math.isfinite(value)
        case datetime():
            return value.tzinfo is not None
    return _is_text(value)


def _is_text(value: object) -> bool:
    """Returns whether a value is text that a database can store: it has no NUL and no half of a surrogate pair."""
    return isinstance(value, str) and not UNSTORABLE.search(value)


def _name(row: RecordID) -> str:
    key: Any = row.id
    return f"{row.table_name}:{key}"


def _as_row(found: Any) -> Row:
    row: Row = _plain(found)
    return row


def _plain(value: Any) -> Any:
    """Returns a result with ids of rows as text."""
    if isinstance(value, RecordID):
        return _name(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_none(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_none(each) for name, each in value.items() if each is not None}
    return value
