"""What the evidence of a crash says, for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic_core import to_jsonable_python

from holdfast.cli.evidence import Call, Evidence
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import count, cut, duration
from holdfast.types import RunResult, RunStatus

WIDE = 30  # cells for the call in the table


def verdict(evidence: Evidence, result: RunResult) -> bool:
    """Whether history bears out what Holdfast promises."""
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
            "made_again": [call.key for call in evidence.made_again],
            "seconds_to_next_call": evidence.seconds_to_next_call,
        }
    )
    return plain


def show_evidence(out: Output, evidence: Evidence) -> None:
    """Writes every model call and tool call, in order, with what became of it."""
    out.say((f"{'':2}{'#':>3}  {'CALL':{WIDE}}  ATTEMPTS  WORKER  LAST TOOK", "dim"))
    crash_shown = False
    for number, call in enumerate(evidence.calls, start=1):
        if not crash_shown and call.scheduled > evidence.crash.killed:
            crash_shown = True
            out.say((f"{'':7}kill -9 of the first worker; the second one takes over", "red"))
        out.say(*_row(number, call, evidence))


def _row(number: int, call: Call, evidence: Evidence) -> list[str | tuple[str, str]]:
    broken_off, again = call in evidence.in_flight, call in evidence.made_again
    worker = "first" if call.worker == evidence.crash.worker else "second"
    took = duration((call.ended - call.started).total_seconds()) if call.ended and call.started else ""
    row = f"  {number:>3}  {cut(call.what, WIDE):{WIDE}}  {call.attempts:>8}  {worker:6}  {took:>9}"
    if again:
        return [(row, "bold red"), ("  again!", "bold red")]
    return [(row, "yellow"), ("  broken off", "yellow")] if broken_off else [row]


def show_verdict(out: Output, evidence: Evidence, result: RunResult) -> None:
    """Writes each finding, and whether it is what was promised."""
    for holds, finding in _findings(evidence, result):
        out.say(("✓ ", "bold green") if holds else ("✗ ", "bold red"), finding)


def _findings(evidence: Evidence, result: RunResult) -> list[tuple[bool, str]]:
    before, broken, again = evidence.finished_before, evidence.in_flight, evidence.made_again
    waited = evidence.seconds_to_next_call
    return [
        (bool(before), f"{count(len(before), 'call')} had finished when the worker died"),
        (
            bool(broken),
            f"in flight when it died, and made anew: {', '.join(call.what for call in broken) or 'nothing'}",
        ),
        (not again, f"finished calls that were made again: {', '.join(call.what for call in again) or 'none'}"),
        (
            waited is not None,
            f"from the start of the new worker to its first call: {'never' if waited is None else duration(waited)}",
        ),
        (result.status is RunStatus.COMPLETED, f"the run ended as: {result.status}"),
    ]
