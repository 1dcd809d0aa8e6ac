"""`resolve`: says what became of a lost call."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.commanding import ByOption, KeyOption, send_command, user
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.errors import UsageError

EXAMPLES = """
    $ resolve clerk-3f9a12bc 2/call_1 --happened "receipt 7"
    $ resolve clerk-3f9a12bc 2/call_1 --did-not
"""


async def resolve(
    run_id: RunIdArgument,
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call, as `show` names it.", show_default=False)],
    *,
    happened: Annotated[
        str | None,
        typer.Option("--happened", metavar="RESULT", help="It took effect, and returned this; the model reads it."),
    ] = None,
    did_not: Annotated[bool, typer.Option("--did-not", help="It did not take effect: it is made again.")] = False,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Says whether a call that was lost with its worker took effect.

    Calls of tools with on_unknown="ask" wait for this. If the worker was only frozen
    and has recorded the result meanwhile, that is used, whatever you say.
    """
    if (happened is None) != did_not:
        raise UsageError("say what became of the call: --happened RESULT, or --did-not")
    await send_command(
        run_id,
        lambda run: run.resolve(call, happened=not did_not, result=happened or "", id=key, by=by or user()),
        done=f"{{run}} was told that {call} {'did not take effect' if did_not else 'took effect'}",
        json=json,
    )
