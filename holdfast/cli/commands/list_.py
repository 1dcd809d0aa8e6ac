"""`list`: the runs that there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import JsonOption, WhereOption, at_least
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.run_list import show_runs
from holdfast.cli.render.text import count
from holdfast.cli.render.waiting_runs import show_waiting_runs
from holdfast.cli.session import connected
from holdfast.errors import UsageError
from holdfast.types import RunStatus

if TYPE_CHECKING:
    from holdfast.client.listed_run import ListedRun

DEFAULT_LIMIT = 20

EXAMPLES = """
    $ list
    $ list --status failed --limit 100
    $ list --agent researcher --json
    $ list --root researcher-3f9a12bc
    $ list --stage building_ui
    $ list --where 'AgentStatus = "failed" AND AgentTurn > 10'
"""


async def list_(
    *,
    status: Annotated[RunStatus | None, typer.Option(metavar="STATUS", help=f"One of: {' '.join(RunStatus)}.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this agent.")] = None,
    root: Annotated[str | None, typer.Option(metavar="ID", help="Only this run and the runs below it.")] = None,
    stage: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only runs whose tools have entered this stage last.")
    ] = None,
    where: WhereOption = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only runs with this tag; repeatable.")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", callback=at_least(1), help="Show at most this many.")
    ] = DEFAULT_LIMIT,
    json: JsonOption = False,
) -> None:
    """Lists runs, newest first."""
    out = Output(json=json)
    tags = _tags(tag or [])
    async with connected(out) as session:
        found = session.runs.list(
            status=status, agent=agent, root=root, stage=stage, where=where, tags=tags, limit=limit
        )
        runs = [run async for run in found]
        if json:
            out.document([run.model_dump(mode="json") for run in runs])
        elif runs:
            _show(out, runs, limit)
            await show_waiting_runs(session, runs)
        elif status or agent or root or stage or where or tags:
            out.note("no run matches")
        else:
            out.note(f"no runs yet; start one: {command('run', 'researcher', 'What survives a crash?')}")


def _show(out: Output, runs: list[ListedRun], limit: int) -> None:
    show_runs(out, runs, datetime.now(UTC))
    for why in dict.fromkeys(run.unreadable for run in runs if run.unreadable):
        out.warn(f"some inputs cannot be shown: {why}")
    if len(runs) == limit:
        out.note(f"the newest {count(limit, 'run')}; --limit shows more")


def _tags(given: list[str]) -> dict[str, str]:
    """Reads the tags.

    Raises:
        UsageError: one has no value, or two have the same name.
    """
    tags: dict[str, str] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not (name and separator):
            raise UsageError(f"--tag {each!r} is not accepted: it must be NAME=VALUE, as --tag team=search")
        if tags.setdefault(name, value) != value:
            raise UsageError(f"--tag {name} is given twice: a run has one value of it")
    return tags
