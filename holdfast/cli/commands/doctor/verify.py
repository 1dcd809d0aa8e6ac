"""`doctor verify`: compares the mirror with Temporal's history."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from holdfast.cli.checked_runs import AllOption, CheckedRuns, RunOption, SinceOption, opened
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.program import command
from holdfast.cli.render.doctor_text import difference_lines, verified_total
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import Progress
from holdfast.ops.doctor import Report, Verdict, Verifier, map_concurrently

DeepOption = Annotated[
    bool | None,
    typer.Option(
        "--deep/--quick", help="Compare every row, or only the newest entries.", show_default="deep, with --all quick"
    ),
]

EXAMPLES = """
    $ doctor verify researcher-3f9a12bc
    $ doctor verify --all --since 2d
    $ doctor verify --all --deep --json | jq '.runs[].run_id'
"""


async def verify(
    run_id: RunOption = None,
    all: AllOption = False,  # noqa: A002 - the option's name
    since: SinceOption = None,
    deep: DeepOption = None,
    json: JsonOption = False,
) -> ExitCode:
    """Compares the mirror with Temporal's history.

    --deep, the default for one run, compares every value of every row with what the
    run's history projects to. --quick, the default for --all, reads little of a
    healthy run: its own row, the number of its entries, and the digest of the newest,
    which stands for the whole log. Only if these differ are its other rows compared,
    so a row that was altered alone is not detected. Either way, each row that is
    missing, altered or extra is named by run, table and seq. A worker must run, as it
    replays the histories of open runs.

    The mirror of an active run may lag (`behind`): what it has so far is right. If
    Temporal has deleted a run's history (`mirror only`), its rows are compared with
    each other.

    Tool calls whose worker was lost, and whose outcome is therefore unknown, are
    listed too, with whether their result was recorded later. --deep also checks that
    the files of the run's workspace can be restored from the store, at each point;
    files that are lost cannot be repaired.

    Exit code: 0 when nothing is wrong, 4 when something is, 3 when a run could
    not be checked.
    """
    out = Output(json=json)
    checked = CheckedRuns.of(run_id, all=all, since=since)
    reports: list[Report] = []
    progress = Progress(out)
    async with opened(out) as (session, persistence, log):
        store, is_quick = persistence.store, all if deep is None else not deep
        verifier = Verifier(store, log, quick=is_quick, ledger=persistence.ledger, files=persistence.files)
        check = verifier.report if all else verifier.verify
        async for report in map_concurrently(checked.ids(session, store), check):
            reports.append(report)
            out.lines(difference_lines(report, out.width))
            progress.report(len(reports), "run")
    found = Counter(report.verdict for report in reports)
    if json:
        runs = [
            report.document for report in reports if report.verdict != Verdict.HEALTHY or report.lost_files or not all
        ]
        out.document({"found": {verdict.value: found[verdict] for verdict in Verdict}, "runs": runs})
    else:
        out.say(verified_total(reports, progress.seconds))
        if all and deep is None:
            out.note("run rows and numbers of entries were compared; --deep compares every row")
        if found[Verdict.DAMAGED]:
            out.note(f"to repair it: {command('doctor', 'rebuild', '--all' if all else run_id or '')}")
    return (
        ExitCode.DAMAGED
        if found[Verdict.DAMAGED] or any(report.lost_files for report in reports)
        else ExitCode.UNAVAILABLE
        if found[Verdict.UNCHECKED]
        else ExitCode.OK
    )
