"""`terminate`: ends a run at once."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_words
from holdfast.cli.session import connected

EXAMPLES = """
    $ terminate researcher-3f9a12bc --reason "hangs in a tool"
"""


async def terminate(
    run_id: RunIdArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the run's history.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Ends a run at once; prefer `cancel`.

    The run cannot clean up, nor record what it was doing.
    """
    out = Output(json=json)
    async with connected(out) as session:
        run = session.run(run_id)
        ended = await run.ended()
        if ended is None:
            await run.terminate(reason)
    if json:
        out.document({"run_id": run_id, "requested": "terminate", "reason": reason, "ended": ended})
    elif ended:
        out.say(f"{run_id} has already ended ({status_words(ended)})")
    else:
        out.say(f"{run_id} was terminated")
