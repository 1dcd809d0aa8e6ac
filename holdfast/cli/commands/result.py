"""`result`: waits for the end of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.exit_code import ExitCode, for_result
from holdfast.cli.following import wait
from holdfast.cli.options import JsonOption, RunIdArgument, seconds
from holdfast.cli.render.outcome import Outcome
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected

EXAMPLES = """
    $ result researcher-3f9a12bc
    $ result researcher-3f9a12bc --timeout 30 || echo "not yet"
    $ result researcher-3f9a12bc --json | jq -r .output
"""


async def result(
    run_id: RunIdArgument,
    timeout: Annotated[
        float | None, typer.Option(metavar="S", callback=seconds, help="Seconds to wait. Default: no limit.")
    ] = None,
    json: JsonOption = False,
) -> ExitCode:
    """Waits until a run has ended and prints its answer.

    The exit code says how the run ended, as that of `run` does; 124 means that
    --timeout has passed, and the run continues.
    """
    out = Output(json=json)
    async with connected(out) as session:
        ended = await wait(session, session.run(run_id), timeout=timeout)
        Outcome(ended, session.ui(run_id)).show(out, answer=True)
    return for_result(ended)
