"""`list`: the runs that there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from holdfast.cli.options import JsonOption, WhereOption, at_least
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.run_list import show_runs
from holdfast.cli.render.text import count
from holdfast.cli.session import connected
from holdfast.types import RunStatus

DEFAULT_LIMIT = 20

EXAMPLES = """
    $ list
    $ list --status failed --limit 100
    $ list --agent researcher --json
    $ list --where 'AgentStatus = "failed" AND AgentTurn > 10'
"""


async def list_(
    status: Annotated[RunStatus | None, typer.Option(metavar="STATUS", help=f"One of: {' '.join(RunStatus)}.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this agent.")] = None,
    where: WhereOption = None,
    limit: Annotated[
        int, typer.Option(metavar="N", callback=at_least(1), help="Show at most this many.")
    ] = DEFAULT_LIMIT,
    json: JsonOption = False,
) -> None:
    """Lists runs, newest first."""
    out = Output(json=json)
    async with connected(out) as session:
        runs = [run async for run in session.runs.list(status=status, agent=agent, where=where, limit=limit)]
    if json:
        out.document([run.model_dump(mode="json") for run in runs])
    elif runs:
        show_runs(out, runs, datetime.now(UTC))
        for why in dict.fromkeys(run.unreadable for run in runs if run.unreadable):
            out.warn(f"some inputs cannot be shown: {why}")
        if len(runs) == limit:
            out.note(f"the newest {count(limit, 'run')}; --limit shows more")
    elif status or agent or where:
        out.note("no run matches")
    else:
        out.note(f"no runs yet; start one: {command('run', 'researcher', 'What is promised?')}")
