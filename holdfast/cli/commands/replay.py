"""`replay`: checks that today's workflow code continues what older code has recorded."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast._util.concurrency import map_concurrently
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import Progress
from holdfast.cli.render.replay_text import replayed_total, show_replayed
from holdfast.cli.replayed import Named, Replayed, Verdict, opened_check

WIDTH = 4  # histories at the same time: reading overlaps with replaying, which keeps a core busy

EXAMPLES = """
    $ replay researcher-3f9a12bc
    $ replay --open
    $ replay histories/*.json --json | jq .found
"""


async def replay(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID|FILE", help="Ids of runs, or files with histories.", show_default=False),
    ] = None,
    *,
    open: Annotated[  # noqa: A002 - the option's name
        bool, typer.Option("--open", help="All open runs of the task queue instead.")
    ] = False,
    json: JsonOption = False,
) -> ExitCode:
    """Checks recorded runs against today's workflow code.

    It replays the history of a run with the workflow code that this command is
    installed with, and names the first difference: the event, what the history has,
    and what the code does now. Nothing is called and nothing is changed. Of a run
    that has continued as new, all executions are replayed. A FILE is a history that
    was downloaded from Temporal's UI, or with `temporal workflow show --output json`.

    A replay compares which calls, timers and child workflows there are, and their
    order. It does not notice other arguments or timeouts.

    Exit code: 0 when all replay, 5 when one differs, 3 when one could not be checked.
    """
    out = Output(json=json)
    named = Named.of(names or [], open=open)
    found: list[Replayed] = []
    progress = Progress(out)
    async with opened_check(out, needs_server=named.needs_server) as check:
        async for replayed in map_concurrently(check.sources(named), check.replay, WIDTH):
            found.append(replayed)
            show_replayed(out, replayed)
            progress.report(len(found), "execution", "replayed")
    verdicts = [each.verdict for each in found]
    if json:
        shown = [each.document for each in found if not open or each.verdict is not Verdict.REPLAYS]
        counts = {verdict.value: verdicts.count(verdict) for verdict in Verdict}
        out.document({"found": counts, "histories": shown})
    elif not found:
        out.note("no run is open")
    else:
        out.say(replayed_total(found, progress.seconds))
    if Verdict.DIFFERS in verdicts:
        return ExitCode.DIFFERS
    return ExitCode.UNAVAILABLE if Verdict.UNCHECKED in verdicts else ExitCode.OK
