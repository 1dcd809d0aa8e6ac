"""Handle of one run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, TerminatedError

from holdfast.agent_result import AgentResult
from holdfast.agents.readers import Readers
from holdfast.arguments import checked_known_id, checked_number, checked_seconds, checked_text
from holdfast.attachments import Attachment
from holdfast.budgets import Budget
from holdfast.checkpoints import Checkpoint, Effect, checkpoints_of, effects_since, find_checkpoint
from holdfast.client.commander import Commander
from holdfast.client.comparison import RunDiff
from holdfast.client.conversations import Conversations
from holdfast.client.follow import Follower
from holdfast.client.forks import ForkEdits, Forks
from holdfast.client.inputs import Inputs, RunInput
from holdfast.client.listed_run import ListedRun
from holdfast.client.run_commands import RunCommands, checked_command
from holdfast.commands import Policy, Restore, Send
from holdfast.errors import CommandRefused, RunOver, UsageError, WaitTimedOut
from holdfast.events import Event
from holdfast.ports import BusSource
from holdfast.progress import RunProgress
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.outages import outlasting
from holdfast.temporal.run_log import ENCRYPTED_REASON, TemporalRunLog
from holdfast.types import Entry, Message, RunId, RunResult, RunStatus, Usage


class RunHandle(RunCommands):
    """One run, active or ended."""

    def __init__(
        self,
        client: Client,
        log: TemporalRunLog,
        id: RunId,  # noqa: A002 - the field's word
        bus: BusSource | None = None,
        forks: Forks | None = None,
        *,
        read: Readers | None = None,
        inputs: Inputs | None = None,
        conversations: Conversations | None = None,
    ) -> None:
        super().__init__(Commander(client), id, inputs)
        self._conversations = conversations
        self._forks = forks
        self._client = client
        self._log = log
        self._bus = bus
        self.read = read
        """Makes a value of the agent's type of the text of its answer; `None` if the agent is not known here."""

    async def result(self, timeout: float | None = None) -> AgentResult:
        """Waits for the end and returns the result, also of a failed run; `raise_on_failure()` on it raises.

        The wait outlasts an unavailable Temporal server: a log message says so, and the server is asked again.

        Args:
            timeout: seconds to wait, which does not limit the run; `None` means without limit.

        Raises:
            RunNotFound: no run has this id.
            WaitTimedOut: the run has not ended in time.
            TemporalUnavailable: the server has been unavailable for ten minutes.
        """
        checked_seconds("timeout", timeout)
        try:
            async with asyncio.timeout(timeout):
                ended = await self._ended()
                return AgentResult.from_run(ended, self.read.of(ended.active_agent) if self.read else None)
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
        return self._log.entries(self.id, checked_number("after", after, -1))

    def transcript(self, after: int = -1) -> AsyncIterator[Message]:
        """Yields the messages after message `after` that exist now."""
        return self._log.messages(self.id, checked_number("after", after, -1))

    async def attachments(self) -> list[Attachment]:
        """Returns the images and files of the transcript, oldest first."""
        return [attachment async for message in self.transcript() for attachment in message.attachments]

    async def attachment(self, number: int) -> bytes:
        """Returns the content of an image or a file of the transcript.

        Args:
            number: its place among all `attachments`, from 1.

        Raises:
            UsageError: there is none of this number, it is at a URL, or it cannot be read from this process.
            PayloadUnreadable: its content is lost.
            StoreUnavailable: the store is unavailable.
        """
        checked_number("number", number, 1)
        found = await self.attachments()
        if not 1 <= number <= len(found):
            raise UsageError(f"run {self.id!r} has no attachment {number}; it has {len(found)}")
        return await self.inputs.content(found[number - 1])

    async def save_conversation(self, *, file: str | Path | None = None, log: bool = True) -> Path:
        """Saves what was said, up to the last complete answer, as one line of a JSONL file for training.

        The line is in OpenAI's chat format, as `export --format openai` writes it. A run has one line in a file: saved
        again, a conversation that has become longer replaces it, and the same one changes nothing. Several processes
        may save in one file.

        Args:
            file: the file, in a folder that exists; `None` means `conversations/<agent>.jsonl` in HOLDFAST_HOME.
            log: also store the conversation in the table `conversation` of the database, if there is one. Deleting or
                pruning the run leaves it there.

        Returns:
            The path of the file, which only this user can read.

        Raises:
            UsageError: there is no answer yet, or the file cannot be used. Nothing was written.
            RunNotFound: neither Temporal nor the mirror has the run.
            Unavailable: the run cannot be read now, the disk is full, or the row could not be stored; the message says
                what was written, and saving again is safe.
        """
        if self._conversations is None:
            raise UsageError("this handle only reads its run: `Holdfast.handle(id)` returns one that saves it")
        return await self._conversations.save(self.id, file, table=log)

    def events(self, after: int = -1) -> AsyncIterator[Event]:
        """Yields all events after entry `after` as they happen, until the run ends."""
        return Follower(self._log, self.id, checked_number("after", after, -1), self._bus).events()

    async def checkpoints(self) -> list[Checkpoint]:
        """Returns the points that the run can go back to, oldest first."""
        return list(checkpoints_of([entry async for entry in self.entries()]))

    async def restore_from_checkpoint(
        self,
        checkpoint: str,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> bool:
        """Takes the run back to a checkpoint: what came after it no longer counts for the model.

        The current step is stopped, and the log keeps everything. Effects that tools had since then stay: see
        `effects_since`.

        Args:
            checkpoint: its id or its name; of a turn, its number.
            id: as in `send`.
            by: as in `send`.

        Returns:
            Whether the run went back; `False` means that it has no such checkpoint, or ended before. `restore` raises
            an error in its place, which says which checkpoints there are.

        Raises:
            RunOver: the run had ended before the command; `restore` then makes a new run.
        """
        try:
            receipt = await self._command(Restore, checkpoint=checkpoint, id=id, by=by)
        except RunOver:
            raise
        except CommandRefused:
            return False
        async for event in self.events(after=-1 if receipt.seq is None else receipt.seq):
            if isinstance(event, Entry) and event.kind == "restored" and event.data.get("command") == receipt.id:
                return True
            if isinstance(event, Entry) and event.kind == "refused" and event.data.get("id") == receipt.id:
                return False
        return False

    async def restore(self, checkpoint: str, *, message: RunInput | None = None, by: str | None = None) -> RunHandle:
        """Goes back to a checkpoint: an open run in place, and one that has ended by a fork, which is returned.

        Args:
            checkpoint: as in `restore_from_checkpoint`.
            message: a message to the agent that follows, as in `fork`; one that has ended with an answer at this point
                needs it.
            by: as in `send`.

        Raises:
            UsageError: the run has no such checkpoint, or could not continue from it.
            CommandRefused: the run ended before it went back.
        """
        follows = None  # checked before the run goes back
        if message is not None:
            follows = checked_command(Send, **await self.inputs.message(message), policy=Policy.STEER, by=by)
        try:
            is_restored = await self.restore_from_checkpoint(checkpoint, by=by)
        except RunOver:
            return await self.fork(checkpoint, message=message)
        if not is_restored:
            await self.effects_since(checkpoint)  # says which checkpoints there are
            raise CommandRefused(f"run {self.id!r} has not gone back to {checkpoint!r}; its log says why")
        if follows is not None:
            await self._commander.send(self.id, follows)
        return self

    async def effects_since(self, checkpoint: str) -> list[Effect]:
        """Returns the calls of tools after a checkpoint that may have changed something outside of the run.

        Raises:
            UsageError: the run has no such checkpoint.
        """
        checked_text("checkpoint", checkpoint)
        entries = [entry async for entry in self.entries()]
        return effects_since(entries, find_checkpoint(entries, checkpoint, self.id).ref.seq)

    async def cancel(self) -> None:
        """Requests cancellation and returns at once; a call in flight is aborted and its partial result is kept."""
        with translated_errors(self.id):
            await self._client.get_workflow_handle(self.id).cancel()

    async def fork(
        self,
        at: str | int | None = None,
        *,
        message: RunInput | None = None,
        model: str | list[str] | tuple[str, ...] | None = None,
        system_prompt: str | None = None,
        tool_results: Mapping[str, str] | None = None,
        id: RunId | None = None,  # noqa: A002 - the field's word
        max_turns: int | None = None,
        timeout: float | None = None,
        workspace: str | Path | None = None,
        tags: Mapping[str, str] | None = None,
        budget: Budget | Mapping[str, Any] | None = None,
    ) -> RunHandle:
        """Starts a run that begins with a copy of this one's log up to a point, and returns at once.

        The run to fork may be active or ended, and Temporal may have deleted it. Tool calls without a result at the
        point are not made. Tokens, cost, tool calls and limits of the fork count from 0.

        Args:
            at: the number of a turn, or `turn-3`: its end; `message-5`: that message; or the name of a checkpoint.
                `None` means everything that is recorded.
            message: a message to the agent that follows: text, data, or a list with images and files.
            model: another model.
            system_prompt: another system prompt.
            tool_results: other results of tool calls, by the id of the call, or by turn and id: `3/call_1`.
            id: as in `Holdfast.start`.
            max_turns: maximum number of turns of the fork itself; `None` means the limit of this run.
            timeout: as in `Holdfast.start`; `None` means the limit of this run.
            workspace: as in `Holdfast.start`; `None` copies the workspace of this run: one that is recorded as it was
                at the point, any other folder as it is now.
            tags: as in `Holdfast.start`; `None` means those of this run.
            budget: as in `Holdfast.start`; `None` means that of this run.

        Raises:
            UsageError: there is no such point, or the fork could not continue from it.
            RunNotFound: neither Temporal nor the mirror has the run.
            MirrorDamaged: the mirror was altered, and a fork copies only what its digests prove.
            Unavailable: the run cannot be read now.
        """
        edits = ForkEdits(message, model, system_prompt, tool_results, max_turns, timeout, workspace, tags, budget)
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
        return await self._starts().compare(self.id, checked_known_id(other))

    def _starts(self) -> Forks:
        if self._forks is None:
            raise UsageError("this handle only reads its run: `Holdfast.handle(id)` returns one that starts others")
        return self._forks

    def _other(self, run_id: RunId) -> RunHandle:
        return RunHandle(
            self._client,
            self._log,
            run_id,
            self._bus,
            self._forks,
            read=self.read,
            inputs=self.inputs,
            conversations=self._conversations,
        )

    async def terminate(self, reason: str) -> None:
        """Ends the run immediately, without cleanup; prefer `cancel`.

        Args:
            reason: kept in the run's history; encrypted if payloads are.
        """
        checked_text("reason", reason)
        handle = self._client.get_workflow_handle(self.id)
        with translated_errors(self.id):
            if self._client.data_converter.payload_codec is None:
                await handle.terminate(reason=reason)
            else:  # Temporal keeps a reason as plain text, and details as payloads
                await handle.terminate(reason, reason=ENCRYPTED_REASON)

    async def _ended(self) -> RunResult:
        while True:
            try:
                return await outlasting(self._returned, f"the end of run {self.id!r}")
            except WorkflowFailureError as failure:
                if not isinstance(failure.cause, TerminatedError) or await self.ended():
                    return await self._failed(failure.cause)
                # The execution was terminated by a reset; the run continues in another one.

    async def _returned(self) -> RunResult:
        """Waits for what the workflow returns."""
        with translated_errors(self.id):
            result: RunResult = await self._client.get_workflow_handle(self.id, result_type=RunResult).result()
            return result

    async def _failed(self, cause: BaseException) -> RunResult:
        if isinstance(cause, ApplicationError) and cause.details:
            return RunResult.model_validate(cause.details[0])
        progress = await self.status()
        kept = {"run_id", "agent", "status", "output", "error", "usage", "tool_calls", "model", "files"}
        kept |= {"workspace", "started_at"}
        return RunResult(**progress.model_dump(include=kept), turns=progress.turn, finished_at=progress.finished_at)
