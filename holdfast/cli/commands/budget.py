"""`budget`: shows and raises limits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.budgets import dollars
from holdfast.cli.commanding import ByOption, KeyOption, user
from holdfast.cli.options import JsonOption, at_least, run_id
from holdfast.cli.options import seconds as positive_seconds
from holdfast.cli.program import command
from holdfast.cli.render.budget import budget_document, budget_rows, day_rows
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import one_line, pairs
from holdfast.cli.session import connected
from holdfast.cli.storage import check_kept, opened_persistence
from holdfast.errors import UsageError, WorkerUnavailable
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle
    from holdfast.progress import RunProgress

EXAMPLES = """
    $ budget researcher-3f9a12bc
    $ budget researcher-3f9a12bc --cost-usd 5 --turns 100
    $ budget
"""


async def budget(
    run: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The run's id. Without one: the daily budgets.", callback=run_id),
    ] = None,
    *,
    cost_usd: Annotated[
        float | None, typer.Option(metavar="USD", callback=dollars, help="Raise what the run may cost in all to this.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(metavar="N", callback=at_least(1), help="Raise its tokens to this.")
    ] = None,
    tool_calls: Annotated[
        int | None, typer.Option(metavar="N", callback=at_least(1), help="Raise its tool calls to this.")
    ] = None,
    turns: Annotated[
        int | None, typer.Option(metavar="N", callback=at_least(1), help="Raise its model calls to this.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", callback=positive_seconds, help="Raise its running time to this.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Let a run that waits for a daily budget try again.")] = False,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Shows what a run has used of its limits, and raises them.

    A run that waits for a larger budget continues at once. Limits are totals, not
    additions: `--cost-usd 5` lets the run cost 5 US dollars in all.
    """
    out = Output(json=json)
    limits = {"cost_usd": cost_usd, "tokens": tokens, "tool_calls": tool_calls, "turns": turns, "seconds": seconds}
    limits = {name: value for name, value in limits.items() if value is not None}
    if run is None:
        if limits or retry:
            raise UsageError(f"name the run whose limits to raise: {command('budget', 'ID')} …")
        await _show_day(out)
        return
    async with connected(out, whole=bool(limits)) as session:
        handle = session.run(run)
        if limits or retry:
            receipt = await handle.raise_budget(**limits, id=key, by=by or user())  # type: ignore[arg-type]
            out.note(f"raised; the run is {receipt.state}")
        progress = await _progress(out, handle)
    if json:
        out.document(budget_document(progress))
        return
    out.lines(pairs(budget_rows(progress), indent=0))
    for wait in progress.waits_for:
        if wait.kind == "budget":
            out.note(f"the run waits for {one_line(wait.what)}")


async def _progress(out: Output, run: RunHandle) -> RunProgress:
    """Returns the progress of a run; of one that has ended, with the limits that its log has."""
    progress = await run.status()
    if not progress.status.is_final:
        return progress
    from holdfast.client.recorded_budget import RecordedBudget  # noqa: PLC0415 - `--help` needs no client

    recorded = RecordedBudget()
    try:
        async for entry in run.entries():
            recorded.add(entry)
    except WorkerUnavailable as error:
        out.note(str(error))
    return recorded.of(progress)


async def _show_day(out: Output) -> None:
    settings = Settings.load()
    limits, today = settings.day_budgets, datetime.now(UTC).date()
    if not limits:
        if out.json:
            out.document({"day": today.isoformat(), "budgets": {}})
        else:
            out.say("there are no daily budgets: set BUDGET_PER_DAY or BUDGETS")
        return
    check_kept(settings, "read")
    async with opened_persistence(settings) as persistence:
        used = dict(await persistence.day_budgets.used(today, list(limits)))
    if out.json:
        budgets = {
            scope: {
                **limit.model_dump(exclude_none=True),
                "used": {"tokens": used[scope].used.tokens, "cost_usd": used[scope].used.cost_usd},
                "reserved": {"tokens": used[scope].held.tokens, "cost_usd": used[scope].held.cost_usd},
            }
            for scope, limit in limits.items()
        }
        out.document({"day": today.isoformat(), "budgets": budgets})
        return
    out.say(f"daily budgets on {today} (UTC)")
    out.lines(pairs(day_rows(limits, used)))
