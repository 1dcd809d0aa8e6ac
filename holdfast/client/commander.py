"""The sender of commands to runs."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from holdfast.commands import Command, Receipt
from holdfast.errors import CommandRefused, ErrorType, RunNotFound, RunOver, SessionOver, WorkerUnavailable
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.polling_workers import PollingWorkers
from holdfast.temporal.updates import FIRST_PAUSE, NotNow, Updates, awaited, pauses, update_with_start
from holdfast.temporal.visibility import explained_rejections
from holdfast.types import RunId

ANSWER_TIMEOUT = 10.0  # seconds; a worker answers within milliseconds, or seconds if it has to replay a long run
LAST_TIMEOUT = 60.0  # seconds for all attempts, if workers poll
QUEUED = "queued"
"""State in the receipt of a command that Temporal keeps until a worker polls."""

REFUSALS: dict[str | None, type[CommandRefused]] = {
    ErrorType.RUN_OVER: RunOver,
    ErrorType.SESSION_OVER: SessionOver,
}


class Commander:
    """Sends commands as updates, which a worker answers; if none does, as signals, which Temporal keeps for one.

    An update that has not been answered may still arrive: as both have one id, the command is carried out once.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._updates = Updates(client)

    async def send(self, run_id: RunId, command: Command) -> Receipt:
        """Sends a command and returns its receipt; a command with an id of its own can be repeated safely.

        Raises:
            CommandRefused: the run refuses it; RunOver if it has ended.
            RunNotFound: no run has this id.
            TemporalUnavailable: the server is unavailable.
        """
        command = _with_id(command)
        handle = self._client.get_workflow_handle(run_id)

        async def update() -> Receipt:
            receipt: Receipt = await handle.execute_update(
                command.NAME, _payload(command), id=_update_id(command), result_type=Receipt
            )
            return receipt

        async def signal(_why: str) -> Receipt:
            try:
                await handle.signal(command.NAME, _payload(command))
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    await self._updates.check_open(run_id)
                raise
            return Receipt(id=command.id or "", seq=None, state=QUEUED)

        return await self._deliver(run_id, update, signal)

    async def start_or_send(
        self, run_id: RunId, command: Command, start: Callable[[], WithStartWorkflowOperation[Any, Any]]
    ) -> Receipt:
        """Starts a run if no run has its id, and sends it a command, in one request that can be repeated safely.

        Args:
            run_id: the run.
            command: the command.
            start: returns how the run is started.

        Raises:
            CommandRefused: as in `send`.
            WorkerUnavailable: no worker polls, or none has answered; the run may still start and take the command.
        """
        command = _with_id(command)

        async def update() -> Receipt:
            async with explained_rejections(self._client):
                receipt: Receipt = await update_with_start(
                    self._client,
                    command.NAME,
                    _payload(command),
                    start(),
                    id=_update_id(command),
                    result_type=Receipt,
                )
                return receipt

        async def fail(why: str) -> Receipt:
            raise WorkerUnavailable(why)

        return await self._deliver(run_id, update, fail)

    async def _deliver(
        self,
        run_id: RunId,
        update: Callable[[], Awaitable[Receipt]],
        unanswered: Callable[[str], Awaitable[Receipt]],
    ) -> Receipt:
        loop = asyncio.get_running_loop()
        deadline, delays = loop.time() + LAST_TIMEOUT, pauses()
        while True:
            try:
                with translated_errors(run_id):
                    return await awaited(self._updates.attempt(run_id, update), ANSWER_TIMEOUT)
            except WorkflowUpdateFailedError as error:
                if not _continues(error):
                    raise _refusal(error) from None
                await asyncio.sleep(FIRST_PAUSE)
            except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
                if task_queue := await self._unserved(run_id):
                    with translated_errors(run_id):
                        return await unanswered(f"no worker polls task queue {task_queue!r}; `holdfast up` starts one")
            except NotNow:
                await asyncio.sleep(next(delays))
            if loop.time() > deadline:
                with translated_errors(run_id):
                    return await unanswered(
                        f"no worker has answered the command to run {run_id!r} within {LAST_TIMEOUT:g} s; "
                        "it may still be carried out: see `show`"
                    )

    async def _unserved(self, run_id: RunId) -> str | None:
        """Returns the task queue of a run that no worker polls; `None` if one does, or the run has not been started."""
        try:
            with translated_errors(run_id):
                description = await self._client.get_workflow_handle(run_id).describe()
        except RunNotFound:
            return None
        task_queue = description.task_queue
        return None if await PollingWorkers(self._client, task_queue).names() else task_queue


def _with_id(command: Command) -> Command:
    return command if command.id else command.model_copy(update={"id": uuid.uuid4().hex})


def _update_id(command: Command) -> str:
    """Returns the id of the update: that of the command, and what it is, as Temporal compares nothing but ids."""
    content = hashlib.sha256(command.model_dump_json(exclude={"by"}).encode()).hexdigest()[:12]
    return f"{command.NAME}/{content}/{command.id}"


def _payload(command: Command) -> dict[str, Any]:
    return command.model_dump(mode="json", exclude_defaults=True)


def _continues(error: WorkflowUpdateFailedError) -> bool:
    """Whether the run continues as new at this moment, so that its next execution takes the command."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == ErrorType.CONTINUES


def _refusal(error: WorkflowUpdateFailedError) -> CommandRefused:
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) else None
    return REFUSALS.get(kind, CommandRefused)(cause.message if isinstance(cause, ApplicationError) else str(cause))
