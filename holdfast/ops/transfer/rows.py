"""Export and import of tables whose rows are copied unchanged."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from surrealdb import RecordID
from typing_extensions import override

from holdfast.ops.transfer.bundle import Item
from holdfast.ops.transfer.part import Part, Tally
from holdfast.ops.transfer.storable import check_storable
from holdfast.storage.database import Database

PAGE = "SELECT * FROM {table} WHERE id > $after ORDER BY id LIMIT $limit"
FIRST = "SELECT * FROM {table} ORDER BY id LIMIT $limit"
PAGE_ROWS = 200
HERE = "SELECT * FROM $ids"
WRITE = "INSERT IGNORE INTO {table} $rows RETURN NONE"
RECORD, TIME, BYTES, ESCAPED = "$record", "$time", "$bytes", "$object"


class Rows(Part):
    """One table.

    Args:
        database: the database of the table.
        name: see `Part.name`.
        table: the table; inserted into statements, so it must be a trusted name.
        columns: types of its columns besides `id`, as in the schema; `NoneType` for one that may be missing.
    """

    def __init__(self, database: Database, name: str, table: str, columns: Mapping[str, tuple[type, ...]]) -> None:
        self._name = name
        self._database = database
        self._table = table
        self._columns = columns
        self._write = WRITE.format(table=table)

    @property
    @override
    def name(self) -> str:
        return self._name

    @property
    @override
    def kinds(self) -> Sequence[str]:
        return (self._table,)

    @override
    async def dump(self) -> AsyncIterator[Item]:
        [rows] = await self._database.run(FIRST.format(table=self._table), limit=PAGE_ROWS)
        while rows:
            for row in rows:
                yield {"kind": self._table, "row": to_json(row)}
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1]["id"]
            [rows] = await self._database.run(PAGE.format(table=self._table), after=after, limit=PAGE_ROWS)

    @override
    def check(self, item: Item) -> None:
        self._row(item)

    @override
    async def load(self, items: Sequence[Item]) -> Tally:
        rows = [self._row(item) for item in items]
        [found] = await self._database.run(HERE, ids=[row["id"] for row in rows])
        here = {str(row["id"]): to_json(row) for row in found}
        new = [row for row in rows if str(row["id"]) not in here]
        if new:
            await self._database.run(self._write, rows=new)
        differing = [row["id"] for row in rows if here.get(str(row["id"]), to_json(row)) != to_json(row)]
        kept = [f"row {identity} differs from the stored one" for identity in differing]
        return Tally(written=len(new), same=len(rows) - len(new) - len(kept), kept=kept)

    def _row(self, item: Item) -> dict[str, Any]:
        row = from_json(item.get("row"))
        identity = row.get("id") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(identity, RecordID) or identity.table_name != self._table:
            raise ValueError(f"it is not a row of table {self._table!r}")
        if unknown := row.keys() - self._columns.keys() - {"id"}:
            raise ValueError(f"table {self._table!r} has no column {min(unknown)!r}")
        for name, kinds in self._columns.items():
            if type(row.get(name)) not in kinds:  # `bool` is not an `int` here
                raise ValueError(f"column {name!r} is missing or has a wrong type")
        check_storable(row)
        return row


def to_json(value: Any) -> Any:
    """Returns a value of the database as plain JSON, which `from_json` converts back to the same value."""
    match value:
        case RecordID():
            return {RECORD: [value.table_name, to_json(value.id)]}
        case datetime():
            return {TIME: value.astimezone(UTC).isoformat()}
        case bytes():
            return {BYTES: base64.b64encode(value).decode()}
        case list():
            return [to_json(item) for item in value]
        case dict():
            plain = {name: to_json(item) for name, item in value.items() if item is not None}
            return {ESCAPED: plain} if len(plain) == 1 and next(iter(plain)).startswith("$") else plain
    return value


def from_json(value: Any) -> Any:
    """Returns the value that `to_json` converted; raises ValueError or TypeError if the JSON is malformed."""
    match value:
        case list():
            return [from_json(item) for item in value]
        case dict():
            mark, inner = next(iter(value.items()), (None, None))
            if len(value) == 1 and mark in _MARKED:
                return _MARKED[mark](inner)
            return {name: from_json(item) for name, item in value.items()}
    return value


def _record(parts: Any) -> RecordID:
    table, identity = parts
    if not isinstance(table, str):
        raise ValueError("a record id must name its table")  # noqa: TRY004 - the data is wrong
    return RecordID(table, from_json(identity))


def _object(inner: Any) -> dict[str, Any]:
    return {name: from_json(item) for name, item in dict(inner).items()}


_MARKED: dict[str, Callable[[Any], Any]] = {
    RECORD: _record,
    TIME: datetime.fromisoformat,
    BYTES: lambda text: base64.b64decode(text, validate=True),
    ESCAPED: _object,
}
