"""`show`: one run on one page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.attaching import write_attachment
from holdfast.cli.options import JsonOption, RunIdArgument, at_least
from holdfast.cli.render.outcome import Outcome
from holdfast.cli.render.output import Output
from holdfast.cli.render.run_list import show_runs
from holdfast.cli.render.run_page import LogSummary, document, show_page
from holdfast.cli.session import Session, connected
from holdfast.errors import (
    HoldfastError,
    PayloadUnreadable,
    RunNotFound,
    Unavailable,
    UsageError,
    WaitTimedOut,
    WorkerUnavailable,
)

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle

RESULT_TIMEOUT = 1.0  # seconds; the result of a run that has ended arrives at once

EXAMPLES = """
    $ show researcher-3f9a12bc
    $ show researcher-3f9a12bc --json | jq .tools
    $ show viewer-3f9a12bc --attachment 1 > chart.png
"""


async def show(
    run_id: RunIdArgument,
    *,
    attachment: Annotated[
        int | None,
        typer.Option(
            metavar="N", callback=at_least(1), help="Write the content of this attachment to standard output instead."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Shows one run: status, usage, tools, last entries.

    It also shows the files that the run wrote, and its address in Temporal's UI. If
    no worker answers, it shows what Temporal's history has of the run.
    """
    from holdfast.client.recorded_budget import RecordedBudget  # noqa: PLC0415 - `--help` needs no client

    out = Output(json=json)
    if json and attachment is not None:
        raise UsageError("--attachment writes bytes, and no JSON")
    async with connected(out) as session:
        if attachment is not None:
            await write_attachment(session.run(run_id), attachment)
            return
        run = session.recorded_run(run_id, has_worker=await session.has_worker())
        try:
            progress = await run.status()
        except (RunNotFound, Unavailable):
            raise
        except PayloadUnreadable:
            if not json:  # what is not encrypted, before the error that names the key
                show_runs(out, [await run.listed()], datetime.now(UTC))
            raise
        except HoldfastError:
            await _show_unbegun(session, run)
            return
        log, recorded = LogSummary(), RecordedBudget()
        try:
            async for entry in run.entries():
                log.add(entry)
                recorded.add(entry)
        except WorkerUnavailable as error:
            out.note(str(error))
        progress, ui = recorded.of(progress), session.ui(run_id)
    if json:
        out.document(document(progress, log, ui))
    else:
        show_page(out, progress, log, ui)


async def _show_unbegun(session: Session, run: RunHandle) -> None:
    """Shows the end of a run that was refused, which has no log."""
    try:
        ended = await run.result(timeout=RESULT_TIMEOUT)
    except WaitTimedOut:
        raise HoldfastError(f"run {run.id!r} has not begun: its agent is being prepared") from None
    outcome = Outcome(ended.run, session.ui(run.id))
    if session.out.json:
        session.out.document(outcome.document())
    else:
        outcome.show_facts(session.out, hint=False)
