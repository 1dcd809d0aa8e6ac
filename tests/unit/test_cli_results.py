"""Results of queries, at 80 columns and as JSON."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from rich.cells import cell_len
from surrealdb import Duration, RecordID, Table

from holdfast.cli.render.output import Output
from holdfast.cli.render.rows import show_result
from holdfast.cli.render.surrealql import record_text
from holdfast.cli.render.values import cell, plain

NOON = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("narrow_pipe")


@dataclass(frozen=True)
class Shown:
    value: Any
    json: Any
    cell: str


VALUES = {
    "nothing": Shown(None, None, ""),
    "truth": Shown(True, True, "true"),
    "largest number": Shown(2**63 - 1, 2**63 - 1, str(2**63 - 1)),
    "fraction": Shown(0.1 + 0.2, 0.1 + 0.2, "0.3"),
    "no number": Shown(float("nan"), "nan", "nan"),
    "decimal": Shown(Decimal("1.10"), "1.10", "1.10"),
    "time": Shown(NOON, "2026-05-04T12:00:00.250000Z", "2026-05-04 12:00:00Z"),
    "time elsewhere": Shown(
        NOON.astimezone(timezone(timedelta(hours=2))), "2026-05-04T12:00:00.250000Z", "2026-05-04 12:00:00Z"
    ),
    "duration": Shown(Duration.parse("1h30m"), "5400s", "5400s"),
    "short duration": Shown(Duration.parse(1, 5), "1s5ns", "1s5ns"),
    "bytes": Shown(b"\x00\xff", "AP8=", "AP8="),
    "lines": Shown("one\ntwo", "one\ntwo", "one two"),
    "escape codes": Shown("\x1b[31mred\x1b]0;title\x07", "\x1b[31mred\x1b]0;title\x07", "red]0;title"),
    "nested": Shown({"a": [RecordID("run", "x"), None]}, {"a": ["run:x", None]}, '{"a": ["run:x", null]}'),
    "table": Shown(Table("run-1"), "⟨run-1⟩", "⟨run-1⟩"),
    "uuid": Shown(uuid.UUID(int=1), str(uuid.UUID(int=1)), str(uuid.UUID(int=1))),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_shown(name: str) -> None:
    """Values are shown exactly, in tables and for scripts."""
    shown = VALUES[name]
    assert plain(shown.value) == shown.json
    assert json.loads(json.dumps(plain(shown.value), allow_nan=False)) == shown.json
    assert cell(shown.value) == shown.cell


RECORDS = {
    "run:x": RecordID("run", "x"),
    "run:5": RecordID("run", 5),
    "run:⟨5⟩": RecordID("run", "5"),
    "run:⟨editor-3f⟩": RecordID("run", "editor-3f"),
    "run:⟨a:b⟩": RecordID("run", "a:b"),
    "run:⟨a\\⟩b⟩": RecordID("run", "a⟩b"),
    "event:['it\\'s', 3]": RecordID("event", ["it's", 3]),
    "event:['a', NONE, true]": RecordID("event", ["a", None, True]),
    "⟨odd table⟩:x": RecordID("odd table", "x"),
}


@pytest.mark.parametrize("text", RECORDS)
def test_record_ids_are_shown_as_they_are_written(text: str) -> None:
    """Record ids are shown as they are written in statements."""
    assert record_text(RECORDS[text]) == text


def shown(capsys: pytest.CaptureFixture[str], result: Any, statement: str = "", *, wide: bool = False) -> list[str]:
    show_result(Output(), result, statement, wide=wide)
    return capsys.readouterr().out.splitlines()


def test_columns_come_in_the_order_of_the_statement(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns have the order of the statement."""
    rows = [
        {"agent": "editor", "id": RecordID("run", "a"), "n": 5},
        {"agent": "x", "id": RecordID("run", "b"), "n": 12},
    ]
    assert shown(capsys, rows, "SELECT count() AS n, id, agent FROM run GROUP BY id, agent") == [
        " n  id     agent",
        " 5  run:a  editor",
        "12  run:b  x",
    ]
    assert shown(capsys, rows, "SELECT * FROM run")[0].split() == ["id", "agent", "n"]


def test_table_fits_and_wide_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A table fits the terminal, and `--wide` truncates nothing."""
    rows = [{"a": "x" * 200, "b": "短" * 60, "c": 1}]
    lines = shown(capsys, rows)
    assert max(map(cell_len, lines)) <= 80
    assert lines[1].count("…") == 2
    wide = shown(capsys, rows, wide=True)
    assert wide[1] == f"{'x' * 200}  {'短' * 60}  1"


def test_row_with_too_many_columns_is_a_block(capsys: pytest.CaptureFixture[str]) -> None:
    """A row with many columns is shown as a block."""
    row = {f"field_{number:02}": f"value {number} " + "x" * 90 for number in range(20)}
    lines = shown(capsys, [row, row])
    assert max(map(cell_len, lines)) <= 80
    assert lines[0].startswith("  field_00  value 0 xxx")
    assert lines[20] == ""
    assert len(lines) == 41


def test_rows_that_are_no_objects(capsys: pytest.CaptureFixture[str]) -> None:
    """Values that are not objects are shown too."""
    assert shown(capsys, ["a", None, 2]) == ["a", "", "2"]
    assert shown(capsys, 5) == ["5"]
    assert shown(capsys, [{"a": 1}, {"b": 2}]) == ["a  b", "1", "   2"]


def test_document_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON output has no control characters."""
    text = "\x1b[31m \x9b31m \x7f é"
    Output(json=True).document({"text": text})
    out = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\x7f"} & set(out)
    assert "é" in out
    assert json.loads(out) == {"text": text}
