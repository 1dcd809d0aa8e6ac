"""Commands to runs, as the command line sends them and reports their receipts."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from holdfast.cli.bulk import Operation, Options, treat
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.run_selection import RunSelection
from holdfast.cli.session import Session, connected
from holdfast.ops.bulk import BulkJob, Outcome
from holdfast.types import RunId

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle
    from holdfast.commands import Receipt

BY = "by"  # name of the option in the file of a job

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
    async with connected(Output(json=json)) as session:
        receipt = await send(session.run(run_id))
    report_receipt(session.out, run_id, receipt, done)


class Send(Protocol):
    """Sends a command to a run."""

    def __call__(
        self,
        run: RunHandle,
        options: Options,
        /,
        *,
        id: str | None,  # noqa: A002 - the field's word
        by: str | None,
    ) -> Awaitable[Receipt]:
        """Sends it with its options, under an idempotency key, in the name of a person."""


async def command_runs(
    verb: str,
    send: Send,
    runs: RunSelection,
    *,
    key: str | None,
    by: str | None,
    said: str,
    done: str,
    states: str,
    json: bool,
    options: Options | None = None,
) -> ExitCode:
    """Sends a command to the runs of a selection, to each under a key of its own, and reports.

    Args:
        verb: the command.
        send: sends it to a run.
        runs: the selection.
        key: idempotency key of the command to the only run.
        by: who sends it; `None` means the person at the terminal.
        said: what it has done to the only run, as `{run} is paused`.
        done: what was done to each of many runs, as `paused`.
        states: list filter of the runs that accept it.
        json: whether to report as JSON.
        options: given to `send`.

    Raises:
        UsageError: a key is given for many runs.
    """
    runs.check_one(key, "--key is for one run; many runs are each processed once")
    kept = (options or {}) | ({BY: by} if by else {})

    async def one(session: Session, run_id: RunId) -> None:
        receipt = await send(session.run(run_id), kept, id=key, by=by or user())
        report_receipt(session.out, run_id, receipt, said)

    async def each(session: Session, run_id: RunId, job: BulkJob) -> Outcome:
        given = job.header.options
        await send(session.run(run_id), given, id=job.key(run_id), by=given.get(BY) or user())
        return Outcome.DONE

    return await treat(runs, Operation(verb, one, each, done, states, kept), Output(json=json))


def report_receipt(out: Output, run_id: RunId, receipt: Receipt, done: str) -> None:
    """Says what a command has done, and what has to happen before it takes effect.

    Args:
        out: writes it.
        run_id: the run.
        receipt: its answer.
        done: what the command has done, as `{run} is paused`.
    """
    if out.json:
        out.document({"run_id": run_id, **receipt.model_dump(mode="json")})
    elif receipt.seq is None:
        out.say(f"{run_id} has not taken it yet: no worker serves the run now; Temporal keeps it until one does")
        out.note(f"  start a worker:  {command('up')}")
    else:
        out.say(done.replace("{run}", run_id))
        if receipt.note:
            out.note(f"  {receipt.note}")


def user() -> str | None:
    """The name of the person at the terminal, which the run records; `None` if it is not known."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
