"""`checkpoints`: the points that a run can go back to."""

from __future__ import annotations

from json import loads
from typing import Annotated, Any

import typer

from holdfast.checkpoints import Checkpoint
from holdfast.cli.commanding import ByOption, user
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.table import Column, show_table
from holdfast.cli.render.text import local_time, one_line
from holdfast.cli.session import connected
from holdfast.errors import UsageError

EXAMPLES = """
    $ checkpoints researcher-3f9a12bc
    $ checkpoints clerk-1 --create "before paying"
    $ checkpoints clerk-1 --create draft --data '{"v": 2}'
"""


async def checkpoints(
    run_id: RunIdArgument,
    *,
    create: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make one of this name now; the run must be open.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="JSON", help="With --create: data to keep with it.")] = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Lists the checkpoints of a run, oldest first.

    Every turn ends with one. People make more with --create, and tools as they work.
    `restore` goes back to one, and `fork --at` begins another run there.
    """
    out = Output(json=json)
    value = _value(data)
    async with connected(out) as session:
        run = session.run(run_id)
        if create is not None:
            made = await run.create_checkpoint(create, value, by=by or user())
            if json:
                out.document({"run_id": run_id, "checkpoint": made})
            else:
                out.say(f"{run_id} has the checkpoint {one_line(create)}")
                out.note(f"  go back to it:  {command('restore', run_id, made)}")
            return
        run = session.recorded_run(run_id, has_worker=await session.has_worker())
        found = await run.checkpoints()
    if json:
        out.document([point.model_dump(mode="json") for point in found])
    elif found:
        show_table(out, _columns(found))
    else:
        out.say(f"{run_id} has no checkpoint yet; its first turn ends with one")


def _value(data: str | None) -> Any:
    try:
        return None if data is None else loads(data)
    except ValueError as error:
        raise UsageError(f"--data is not JSON: {error}") from None


def _columns(found: list[Checkpoint]) -> list[Column]:
    return [
        Column("name", [one_line(point.name) for point in found]),
        Column("id", [one_line(point.id) for point in found], is_whole=True),
        Column("turn", [str(point.turn) for point in found], is_number=True),
        Column("made", [local_time(point.at) for point in found]),
        Column("by", [one_line(point.by or "") for point in found]),
    ]
