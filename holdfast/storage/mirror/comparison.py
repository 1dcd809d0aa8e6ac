"""A comparison of stored rows with the rows that a run's log projects to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from surrealdb import RecordID

from holdfast.ports import EXTRA, MISSING, Cipher, RowDifference
from holdfast.storage.mirror.row_encryption import EXACT, decrypt_text, encrypt_row
from holdfast.storage.mirror.rows import Row, project
from holdfast.types import EntryBatch

RowId = tuple[str, str]
"""Table and id; the id is text, because ids in SurrealDB may be lists."""

EDGES = ("spawned", "forked")


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A row that differs from the log."""

    difference: RowDifference
    id: RecordID
    right: Row | None
    """The row as it should be stored; `None` means that it should not exist."""

    @property
    def is_edge(self) -> bool:
        """Whether it is a relation between two runs."""
        return self.difference.table in EDGES


def expected_rows(log: EntryBatch) -> list[Row]:
    """Returns every row that a run's whole log projects to; the run's own row comes last."""
    rows = project(log, log.entries)
    return [
        *rows.events,
        *rows.messages,
        *rows.attachments,
        *rows.tool_calls.values(),
        *rows.checkpoints,
        *rows.closing_results(),
        *rows.edges,
        *rows.waits.values(),
        rows.run,
    ]


def compare_rows(log: EntryBatch, stored: Iterable[Row], cipher: Cipher | None) -> list[DifferingRow]:
    """Compares rows value by value and returns those that differ, ordered by table and seq.

    Args:
        log: all entries up to the expected head of the run.
        stored: all rows of the run.
        cipher: the store's cipher; rows that were written before it was configured are valid too.
    """
    found = {_row_id(row): row for row in stored}
    differing: list[DifferingRow] = []
    for plain in expected_rows(log):
        sealed = encrypt_row(dict(plain), cipher)
        row = found.pop(_row_id(plain), None)
        what = MISSING if row is None else _difference(row, plain, sealed, cipher)
        if what:
            differing.append(DifferingRow(_row_difference(plain, what), plain["id"], sealed))
    differing += [DifferingRow(_row_difference(row, EXTRA), row["id"], None) for row in found.values()]
    return sorted(differing, key=_place)


def _difference(row: Row, plain: Row, sealed: Row, cipher: Cipher | None) -> str | None:
    names = [_altered(row, wanted, cipher) for wanted in (sealed, plain)]
    return f"altered: {', '.join(names[0])}" if all(names) else None


def _altered(row: Row, wanted: Row, cipher: Cipher | None) -> list[str]:
    names = [name for name in wanted if name != "id"]
    names += [name for name in row if name not in wanted]
    return [name for name in names if _value(row, name, cipher) != _value(wanted, name, cipher)]


def _value(row: Row, name: str, cipher: Cipher | None) -> Any:
    value = row.get(name)
    if isinstance(value, dict):
        return {key: _value(value, key, cipher) for key in value}
    if name in EXACT and isinstance(value, str):
        return _opened(value, cipher)
    if isinstance(value, RecordID):
        return _row_id({"id": value})
    if isinstance(value, bool | int | float):
        return repr(value)  # a database distinguishes 1 from 1.0 and 0.0 from -0.0, Python's == does not
    return value


def _opened(text: str, cipher: Cipher | None) -> str:
    try:
        return decrypt_text(text, cipher)
    except Exception:  # noqa: BLE001 - altered text may fail to decrypt in any way; it differs from what was written
        return ""


def _row_id(row: Row) -> RowId:
    identity: RecordID = row["id"]
    return str(identity.table_name), repr(identity.id)


def _row_difference(row: Row, what: str) -> RowDifference:
    table, identity = str(row["id"].table_name), row["id"].id
    key: tuple[int | str, ...] = tuple(identity[1:]) if isinstance(identity, list) and table not in EDGES else ()
    if table == "tool_call":
        return RowDifference(table, row.get("asked", row.get("answered")), what, key)
    seq = key[0] if key and isinstance(key[0], int) else None
    return RowDifference(table, seq, what, key if len(key) > 1 or seq is None else ())


def _place(differing: DifferingRow) -> tuple[Sequence[Any], str]:
    order = ("event", "message", "attachment", "tool_call", "agent_checkpoint", "wait", *EDGES, "run")
    table = differing.difference.table
    return (order.index(table) if table in order else len(order), differing.difference.seq or 0), repr(differing.id.id)
