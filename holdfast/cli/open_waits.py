"""The open waits of a run, for commands that end all waits of a kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from holdfast.cli.commanding import report_receipt
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected
from holdfast.errors import CommandRefused, UsageError
from holdfast.types import RunId

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle
    from holdfast.commands import Receipt

Decide = Callable[["RunHandle", str], "Awaitable[Receipt]"]
"""Decides about the call of a run with an id."""


async def decide(
    run_id: RunId, call: str | None, what: Decide, *, everything: bool, key: str | None, done: str, json: bool
) -> ExitCode:
    """Decides about one call, or about each that waits for approval, and says what was done.

    Args:
        run_id: the run.
        call: id of the call; `None` with `everything`.
        what: makes the decision.
        everything: decide about each call that waits.
        key: idempotency key of the decision, which `what` sends.
        done: what has been done to a call, as `approved`.
        json: whether to print the receipts as JSON.

    Raises:
        UsageError: neither or both of a call and `everything` are given, or a key for more than one decision.
        CommandRefused: the run refuses the decision about the only call.
    """
    if (call is None) != everything:
        raise UsageError("name one call, as `inbox` shows it, or pass --all")
    if everything and key is not None:
        raise UsageError("--key is for one call, not for --all: each call is decided about once")
    out = Output(json=json)
    async with connected(out) as session:
        run = session.run(run_id)
        calls = [call] if call is not None else await waiting_calls(run)
        return await _decided(out, run, calls, what, everything=everything, done=done)


async def _decided(
    out: Output, run: RunHandle, calls: list[str], what: Decide, *, everything: bool, done: str
) -> ExitCode:
    receipts, refused = [], 0
    for each in calls:
        try:
            receipts.append(await what(run, each))
        except CommandRefused as error:
            if not everything:
                raise
            refused += 1
            out.warn(f"{each}: {error}")
            continue
        if not out.json:
            report_receipt(out, run.id, receipts[-1], f"{done} {each} of {{run}}")
    if out.json:
        out.document([receipt.model_dump(mode="json") for receipt in receipts])
    elif not calls:
        out.note(f"no call of {run.id} waits for approval")
    return ExitCode.FAILED if refused else ExitCode.OK


async def waiting_calls(run: RunHandle) -> list[str]:
    """Returns the ids of the calls of a run that wait for approval, oldest first."""
    return [wait.id for wait in (await run.status()).waits_for if wait.kind == "approval"]
