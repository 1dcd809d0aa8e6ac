"""Handle of one run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, TerminatedError

from holdfast.bounds import shortened
from holdfast.client.commander import Commander
from holdfast.client.comparison import RunDiff
from holdfast.client.follow import Follower
from holdfast.client.forks import ForkEdits, Forks
from holdfast.client.listed_run import ListedRun
from holdfast.client.result import AgentResult
from holdfast.commands import Command, Interrupt, Pause, Policy, RaiseBudget, Receipt, Resume, Send
from holdfast.errors import UsageError, WaitTimedOut
from holdfast.events import Event
from holdfast.ports import BusSource
from holdfast.progress import RunProgress
from holdfast.rejection import reason_of
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.run_log import ENCRYPTED_REASON, TemporalRunLog
from holdfast.types import Entry, Message, RunId, RunResult, RunStatus, Usage

C = TypeVar("C", bound=Command)


class RunHandle:
    """One run, active or ended."""

    def __init__(
        self,
        client: Client,
        log: TemporalRunLog,
        id: RunId,  # noqa: A002 - the field's word
        bus: BusSource | None = None,
        forks: Forks | None = None,
    ) -> None:
        self.id = id
        self._forks = forks
        self._client = client
        self._log = log
        self._bus = bus
        self._commander = Commander(client)

    async def result(self, timeout: float | None = None) -> AgentResult:
        """Waits for the end and returns the result, also of a failed run; `raise_on_failure()` on it raises.

        Args:
            timeout: seconds to wait, which does not limit the run; `None` means without limit.

        Raises:
            RunNotFound: no run has this id.
            WaitTimedOut: the run has not ended in time.
        """
        try:
            async with asyncio.timeout(timeout):
                return AgentResult.from_run(await self._ended())
        except TimeoutError:
            raise WaitTimedOut(f"run {self.id!r} has not ended within {timeout:g} s; it is still active") from None

    async def status(self) -> RunProgress:
        """Returns the current state of the run."""
        return await self._log.progress(self.id)

    async def listed(self) -> ListedRun:
        """Returns what Temporal's index has of the run, which needs neither a worker nor an encryption key.

        Raises:
            RunNotFound: no run has this id.
        """
        return await ListedRun.of(await self._log.describe(self.id))

    async def ended(self) -> RunStatus | None:
        """How the run ended; `None` means that it is open. Needs no worker.

        Raises:
            RunNotFound: no run has this id.
        """
        return await self._log.ended(self.id)

    async def usage(self) -> Usage:
        """Returns the tokens and the cost so far."""
        return (await self.status()).usage

    def entries(self, after: int = -1) -> AsyncIterator[Entry]:
        """Yields the entries after entry `after` that exist now."""
        return self._log.entries(self.id, after)

    def transcript(self, after: int = -1) -> AsyncIterator[Message]:
        """Yields the messages after message `after` that exist now."""
        return self._log.messages(self.id, after)

    def events(self, after: int = -1) -> AsyncIterator[Event]:
        """Yields all events after entry `after` as they happen, until the run ends."""
        return Follower(self._log, self.id, after, self._bus).events()

    async def send(
        self,
        text: str,
        *,
        policy: Policy | str = Policy.STEER,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Sends a message to the agent.

        Args:
            text: not blank, at most 512 KB.
            policy: `steer` adds it to the next model call, `enqueue` waits for the answer, `interrupt` stops the
                current turn, and `reject` refuses the message if the agent is at work.
            id: idempotency key; the same message under the same id is taken once.
            by: who sends it.

        Raises:
            CommandRefused: too many messages wait, or the policy refuses it; RunOver if the run has ended.
            UsageError: an argument is not accepted.
        """
        return await self._command(Send, text=text, policy=policy, id=id, by=by)

    async def pause(self, *, now: bool = False, id: str | None = None, by: str | None = None) -> Receipt:  # noqa: A002
        """Pauses the run: nothing new starts until `resume`, and its clock stands still.

        Args:
            now: stop the calls in flight too; otherwise they end and are recorded.
            id: as in `send`.
            by: as in `send`.

        Raises:
            CommandRefused: the run is paused already, or has ended.
        """
        return await self._command(Pause, now=now, id=id, by=by)

    async def resume(self, *, id: str | None = None, by: str | None = None) -> Receipt:  # noqa: A002
        """Resumes a paused run.

        Raises:
            CommandRefused: the run is not paused, or has ended.
        """
        return await self._command(Resume, id=id, by=by)

    async def interrupt(
        self,
        text: str | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Stops the current turn and keeps its partial results. A session then waits; any other run pauses.

        Args:
            text: a message with which the agent continues at once.
            id: as in `send`.
            by: as in `send`.

        Raises:
            CommandRefused: the session has nothing to interrupt, or the run has ended.
        """
        return await self._command(Interrupt, text=text, id=id, by=by)

    async def raise_budget(
        self,
        *,
        cost_usd: float | None = None,
        tokens: int | None = None,
        tool_calls: int | None = None,
        turns: int | None = None,
        seconds: float | None = None,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Raises limits of the run. A run that waits for a larger budget continues, or waits again if it is too small.

        Args:
            cost_usd: what the run may cost in all, in US dollars.
            tokens: input and output tokens that it may use in all.
            tool_calls: tool calls that it may make in all.
            turns: model calls that it may make in all; of a session, in each exchange.
            seconds: running time in all.
            id: as in `send`.
            by: as in `send`.

        Raises:
            CommandRefused: the run has no such limit, or one that is as high; or it has ended.
        """
        limits = {"cost_usd": cost_usd, "tokens": tokens, "tool_calls": tool_calls, "turns": turns, "seconds": seconds}
        return await self._command(RaiseBudget, **limits, id=id, by=by)

    async def _command(self, kind: type[Command], **fields: Any) -> Receipt:
        return await self._commander.send(self.id, checked_command(kind, **fields))

    async def cancel(self) -> None:
        """Requests cancellation and returns at once; a call in flight is aborted and its partial result is kept."""
        with translated_errors(self.id):
            await self._client.get_workflow_handle(self.id).cancel()

    async def fork(
        self,
        at: str | int | None = None,
        *,
        message: str | None = None,
        model: str | None = None,
        system_prompt: str | None = None,
        tool_results: Mapping[str, str] | None = None,
        id: RunId | None = None,  # noqa: A002 - the field's word
        max_turns: int | None = None,
        timeout: float | None = None,
        workspace: str | Path | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RunHandle:
        """Starts a run that begins with a copy of this one's log up to a point, and returns at once.

        The run to fork may be active or ended, and Temporal may have deleted it. Tool calls without a result at the
        point are not made. Tokens, cost, tool calls and limits of the fork count from 0.

        Args:
            at: the number of a turn, or `turn-3`: its end; `message-5`: that message; or the name of a checkpoint.
                `None` means everything that is recorded.
            message: a message to the agent that follows.
            model: another model.
            system_prompt: another system prompt.
            tool_results: other results of tool calls, by the id of the call, or by turn and id: `3/call_1`.
            id: as in `Holdfast.start`.
            max_turns: maximum number of turns of the fork itself; `None` means the limit of this run.
            timeout: as in `Holdfast.start`; `None` means the limit of this run.
            workspace: as in `Holdfast.start`; `None` copies the workspace of this run as it is now.
            tags: as in `Holdfast.start`; `None` means those of this run.

        Raises:
            UsageError: there is no such point, or the fork could not continue from it.
            RunNotFound: neither Temporal nor the mirror has the run.
            MirrorDamaged: the mirror was altered, and a fork copies only what its digests prove.
            Unavailable: the run cannot be read now.
        """
        edits = ForkEdits(message, model, system_prompt, tool_results, max_turns, timeout, workspace, tags)
        return self._other(await self._starts().fork(self.id, at, edits, id))

    async def rerun(self, *, latest: bool = False, id: RunId | None = None) -> RunHandle:  # noqa: A002 - as `start`
        """Starts a run with the same input, agent, limits and tags, and returns at once.

        Args:
            latest: use the agent as it is now; otherwise as it was when this run began.
            id: as in `Holdfast.start`.

        Raises:
            UnknownAgent: with `latest`, nobody knows the agent any more.
            RunNotFound: neither Temporal nor the mirror has the run.
            Unavailable: the run cannot be read now.
        """
        return self._other(await self._starts().rerun(self.id, latest=latest, run_id=id))

    async def diff(self, other: RunId) -> RunDiff:
        """Compares this run with another one: the first message that differs, and what each used.

        Raises:
            UsageError: one of them has recorded nothing yet.
            RunNotFound: neither Temporal nor the mirror has one of them.
            MirrorDamaged: the mirror of one was altered.
            Unavailable: one of them cannot be read now.
        """
        return await self._starts().compare(self.id, other)

    def _starts(self) -> Forks:
        if self._forks is None:
            raise UsageError("this handle only reads its run: `Holdfast.handle(id)` returns one that starts others")
        return self._forks

    def _other(self, run_id: RunId) -> RunHandle:
        return RunHandle(self._client, self._log, run_id, self._bus, self._forks)

    async def terminate(self, reason: str) -> None:
        """Ends the run immediately, without cleanup; prefer `cancel`.

        Args:
            reason: kept in the run's history; encrypted if payloads are.
        """
        handle = self._client.get_workflow_handle(self.id)
        with translated_errors(self.id):
            if self._client.data_converter.payload_codec is None:
                await handle.terminate(reason=reason)
            else:  # Temporal keeps a reason as plain text, and details as payloads
                await handle.terminate(reason, reason=ENCRYPTED_REASON)

    async def _ended(self) -> RunResult:
        while True:
            try:
                with translated_errors(self.id):
                    result: RunResult = await self._client.get_workflow_handle(self.id, result_type=RunResult).result()
                    return result
            except WorkflowFailureError as failure:
                if not isinstance(failure.cause, TerminatedError) or await self.ended():
                    return await self._failed(failure.cause)
                # The execution was terminated by a reset; the run continues in another one.

    async def _failed(self, cause: BaseException) -> RunResult:
        if isinstance(cause, ApplicationError) and cause.details:
            return RunResult.model_validate(cause.details[0])
        progress = await self.status()
        kept = {"run_id", "agent", "status", "output", "error", "usage", "tool_calls", "model", "files"}
        kept |= {"workspace", "started_at"}
        return RunResult(**progress.model_dump(include=kept), turns=progress.turn, finished_at=progress.finished_at)


def checked_command(kind: type[C], **fields: Any) -> C:
    """Returns a command with the fields that are given.

    Raises:
        UsageError: one is not accepted.
    """
    given = {name: value for name, value in fields.items() if value is not None and value is not False}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}={shortened(repr(first['input']), 80)}: {reason_of(first)}") from None
