"""Findings of the doctor as lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from holdfast.cli.render.text import clean, count, cut, duration
from holdfast.ops.doctor import Rebuilt, Report, Verdict
from holdfast.ports import Flaw

SHOWN_FLAWS = 20  # of one run; --json has them all


def flaw_lines(report: Report, width: int) -> list[str]:
    """A sick run with its flaws; nothing for a healthy one."""
    if report.verdict == Verdict.UNCHECKED:
        return [cut(f"{clean(report.run_id)}: not checked: {clean(report.note)}", width)]
    if report.verdict != Verdict.DAMAGED:
        return []
    found = list(_grouped(report.flaws))
    lines = [f"{clean(report.run_id)} is damaged"]
    lines += [cut(f"  {clean(flaw)}", width) for flaw in found[:SHOWN_FLAWS]]
    if len(found) > SHOWN_FLAWS:
        lines.append(f"  and {len(found) - SHOWN_FLAWS} more; --json has them all")
    return lines


def verified_total(reports: Sequence[Report], seconds: float) -> str:
    """The number of runs with each verdict."""
    found = Counter(report.verdict for report in reports)
    kinds = ", ".join(f"{found[verdict]:,} {verdict.value.replace('_', ' ')}" for verdict in Verdict if found[verdict])
    entries = sum(report.entries for report in reports)
    compared = f"; {count_entries(entries)}" if entries else ""
    return f"{count(len(reports), 'run')}{': ' if kinds else ''}{kinds}{compared} in {duration(seconds)}"


def rebuilt_line(rebuilt: Rebuilt) -> str | None:
    """A run whose mirror was changed; None if it was right."""
    if not rebuilt.written and not rebuilt.repaired:
        return None
    written = f"{rebuilt.written:,} of {count_entries(rebuilt.entries)} written"
    return f"{clean(rebuilt.run_id)}: {written}, {count(rebuilt.repaired, 'row')} repaired"


def count_entries(number: int) -> str:
    """A number of entries."""
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


def _grouped(flaws: Sequence[Flaw]) -> Iterator[str]:
    """Groups consecutive rows of a table that have the same flaw on one line."""
    numbered = [(index, flaw) for index, flaw in enumerate(flaws)]
    for _, group in groupby(numbered, lambda item: (item[1].table, item[1].what, (item[1].seq or 0) - item[0])):
        same = [flaw for _, flaw in group]
        if len(same) == 1 or same[0].seq is None or same[0].table == "tool_call":
            yield from map(str, same)
        else:
            yield f"{same[0].table} {same[0].seq}-{same[-1].seq}: {same[0].what}"
