"""The evidence of a crash, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from holdfast.cli.evidence import Call, Evidence
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_words
from holdfast.cli.render.table import Column, show_table
from holdfast.cli.render.text import count, duration, one_line
from holdfast.types import RunResult, RunStatus


def verdict(evidence: Evidence, result: RunResult) -> bool:
    """Returns whether history confirms Holdfast's guarantees."""
    return all(holds for holds, _ in _findings(evidence, result))


def document(evidence: Evidence, result: RunResult) -> dict[str, Any]:
    """The evidence as plain values."""
    plain: dict[str, Any] = to_jsonable_python(
        {
            "run_id": result.run_id,
            "verdict": verdict(evidence, result),
            "crash": asdict(evidence.crash),
            "calls": [asdict(call) for call in evidence.calls],
            "in_flight": [call.key for call in evidence.in_flight],
            "repeated": [call.key for call in evidence.repeated],
            "seconds_to_next_call": evidence.seconds_to_next_call,
        }
    )
    return plain


def show_evidence(out: Output, evidence: Evidence) -> None:
    """Writes a table of the model calls and tool calls in order, with what became of each."""
    before = sum(call.scheduled <= evidence.crash.killed for call in evidence.calls)
    rows = [_row(number, call, evidence) for number, call in enumerate(evidence.calls, start=1)]
    rows.insert(before, _Row("", "kill -9 of the first worker", style="red"))
    styles = [row.style for row in rows]
    columns = [
        Column("#", [row.number for row in rows], styles, is_number=True, is_whole=True),
        Column("CALL", [row.call for row in rows], styles),
        Column("ATTEMPTS", [row.attempts for row in rows], styles, is_number=True),
        Column("WORKER", [row.worker for row in rows], styles),
        Column("LAST TOOK", [row.took for row in rows], styles, is_number=True),
        Column("", [row.remark for row in rows], styles, is_whole=True),
    ]
    show_table(out, columns)


@dataclass(frozen=True)
class _Row:
    number: str
    call: str
    attempts: str = ""
    worker: str = ""
    took: str = ""
    remark: str = ""
    style: str = ""


def _row(number: int, call: Call, evidence: Evidence) -> _Row:
    interrupted, repeated = call in evidence.in_flight, call in evidence.repeated
    return _Row(
        str(number),
        one_line(call.what),
        attempts=str(call.attempts),
        worker="first" if call.worker == evidence.crash.worker else "second",
        took=duration((call.ended - call.started).total_seconds()) if call.ended and call.started else "",
        remark="repeated!" if repeated else "interrupted" if interrupted else "",
        style="bold red" if repeated else "yellow" if interrupted else "",
    )


def show_verdict(out: Output, evidence: Evidence, result: RunResult) -> None:
    """Writes each finding, and whether it is as promised."""
    for holds, finding in _findings(evidence, result):
        out.say(("✓ ", "bold green") if holds else ("✗ ", "bold red"), finding)


def _findings(evidence: Evidence, result: RunResult) -> list[tuple[bool, str]]:
    finished, interrupted, repeated = evidence.finished_before, evidence.in_flight, evidence.repeated
    waited = evidence.seconds_to_next_call
    return [
        (bool(finished), f"{count(len(finished), 'call')} had finished when the worker died"),
        (bool(interrupted), f"in flight when it died, and repeated: {_calls(interrupted) or 'none'}"),
        (not repeated, f"finished calls that were repeated: {_calls(repeated) or 'none'}"),
        (
            waited is not None,
            f"from the start of the new worker to its first call: {'never' if waited is None else duration(waited)}",
        ),
        (result.status is RunStatus.COMPLETED, f"the run ended: {status_words(result.status)}"),
    ]


def _calls(calls: Sequence[Call]) -> str:
    return ", ".join(one_line(call.what) for call in calls)
