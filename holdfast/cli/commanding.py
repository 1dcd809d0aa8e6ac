"""Commands to one run, as the command line sends them and reports their receipts."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle
    from holdfast.commands import Receipt

KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="Idempotency key: sent again under the same key, it is done once."),
]

ByOption = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Who you are, for the run's log. Default: your user name."),
]


async def send_command(run_id: str, send: Callable[[RunHandle], Awaitable[Receipt]], *, done: str, json: bool) -> None:
    """Sends a command to a run and reports its receipt.

    Args:
        run_id: the run.
        send: sends it.
        done: what it has done, as `{run} is paused`.
        json: whether to print the receipt as JSON.

    Raises:
        CommandRefused: the run refuses it.
        RunNotFound: no run has this id.
        Unavailable: Temporal or the worker is unavailable.
    """
    out = Output(json=json)
    async with connected(out) as session:
        receipt = await send(session.run(run_id))
    if json:
        out.document({"run_id": run_id, **receipt.model_dump(mode="json")})
    elif receipt.seq is None:
        out.say(f"{run_id} has not taken it yet: no worker serves the run now; Temporal keeps it until one does")
        out.note(f"  start a worker:  {command('up')}")
    else:
        out.say(done.format(run=run_id))


def user() -> str | None:
    """The name of the person at the terminal, which the run records; `None` if it is not known."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
