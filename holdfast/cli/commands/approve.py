"""`approve`: lets a call be made."""

from __future__ import annotations

import json as json_
from typing import Annotated, Any

import typer

from holdfast.cli.commanding import ByOption, KeyOption, user
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.open_waits import decide
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.errors import UsageError

EXAMPLES = """
    $ approve clerk-3f9a12bc 2/call_1
    $ approve clerk-3f9a12bc 2/call_1 --edit '{"amount": 50}'
    $ approve clerk-3f9a12bc 2/call_1 --always --matching to
    $ approve clerk-3f9a12bc --all
"""

CallArgument = Annotated[
    str | None, typer.Argument(metavar="CALL", help="The call, as `inbox` shows it.", show_default=False)
]


async def approve(
    run_id: RunIdArgument,
    call: CallArgument = None,
    *,
    edit: Annotated[
        str | None, typer.Option(metavar="JSON", help="Make the call with these arguments instead, all of them.")
    ] = None,
    always: Annotated[
        bool, typer.Option("--always", help="Also approve later calls of the tool in this run with these arguments.")
    ] = False,
    matching: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="With --always: only this argument must be the same; repeatable."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Approve each call of the run that waits.")] = False,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> ExitCode:
    """Approves a call that waits for a person."""
    if matching and not always:
        raise UsageError("--matching says which later calls --always covers; pass both")
    if edit is not None and everything:
        raise UsageError("--edit is for one call, not for --all")
    arguments = _parsed(edit)
    return await decide(
        run_id,
        call,
        lambda run, each: run.approve(each, edit=arguments, always=matching or always, id=key, by=by or user()),
        everything=everything,
        key=key,
        done="approved",
        json=json,
    )


def _parsed(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json_.loads(text)
    except ValueError as error:
        raise UsageError(f"--edit is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError('--edit takes a JSON object with the arguments, such as {"path": "notes.md"}')
    return value
