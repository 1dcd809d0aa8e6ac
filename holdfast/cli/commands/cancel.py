"""`cancel`: asks a run to stop."""

from __future__ import annotations

from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_words
from holdfast.cli.session import connected

EXAMPLES = """
    $ cancel researcher-3f9a12bc
"""


async def cancel(run_id: RunIdArgument, json: JsonOption = False) -> None:
    """Asks a run to stop, and keeps what it has done so far.

    A model call in flight is interrupted, and its partial text is kept. The command
    returns at once; `result` waits for the end.
    """
    out = Output(json=json)
    async with connected(out) as session:
        run = session.run(run_id)
        ended = await run.ended()
        if ended is None:
            await run.cancel()
    if json:
        out.document({"run_id": run_id, "requested": "cancel", "ended": ended})
    elif ended:
        out.say(f"{run_id} has already ended ({status_words(ended)})")
    else:
        out.say(f"{run_id} was asked to stop; to wait for its end: {command('result', run_id)}")
