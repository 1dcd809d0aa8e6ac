"""Findings of the doctor as lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from holdfast._util.terminal import clean
from holdfast.cli.render.text import count, cut, duration
from holdfast.ops.doctor import Rebuilt, Report, Verdict
from holdfast.ports import RowDifference

SHOWN_DIFFERENCES = 20  # of one run; --json has them all


def difference_lines(report: Report, width: int) -> list[str]:
    """A damaged run with its differences, and what a run has lost; nothing for a healthy one that has lost nothing."""
    if report.verdict == Verdict.UNCHECKED:
        return [cut(f"{clean(report.run_id)}: not checked: {clean(report.note)}", width)]
    told = (*report.lost_files[:SHOWN_DIFFERENCES], *report.lost_calls[:SHOWN_DIFFERENCES])
    lost = [f"{clean(report.run_id)}: {clean(line)}" for line in told]
    if report.verdict != Verdict.DAMAGED:
        return lost
    found = list(_grouped(report.differences))
    lines = [f"{clean(report.run_id)} is damaged"]
    lines += [cut(f"  {clean(difference)}", width) for difference in found[:SHOWN_DIFFERENCES]]
    if len(found) > SHOWN_DIFFERENCES:
        lines.append(f"  and {len(found) - SHOWN_DIFFERENCES} more; --json has them all")
    return [*lines, *lost]


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


def _grouped(differences: Sequence[RowDifference]) -> Iterator[str]:
    """Groups consecutive rows of a table that have the same difference on one line."""
    numbered = [(index, difference) for index, difference in enumerate(differences)]
    for _, group in groupby(numbered, lambda item: (item[1].table, item[1].what, (item[1].seq or 0) - item[0])):
        same = [difference for _, difference in group]
        if len(same) == 1 or same[0].seq is None or same[0].table == "tool_call":
            yield from map(str, same)
        else:
            yield f"{same[0].table} {same[0].seq}-{same[-1].seq}: {same[0].what}"
