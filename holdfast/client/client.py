"""The client: starts runs, follows them, ends them. It knows workflows by name, never their code."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecution, WorkflowFailureError
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

from holdfast.agent import Agent, AgentResult
from holdfast.attributes import AGENT_NAME, AGENT_PARENT, AGENT_STATUS, AGENT_TOKENS, AGENT_TURN
from holdfast.definition import AgentDefinition, split_version
from holdfast.errors import (
    RunExists,
    TemporalUnavailable,
    UsageError,
    WaitTimedOut,
    WorkerUnavailable,
)
from holdfast.event_bus import BusSource, reachable_bus
from holdfast.events import Event
from holdfast.follow import Follower
from holdfast.payloads.carriage import largest_input
from holdfast.payloads.client import client_converter
from holdfast.protocol import RunRequest
from holdfast.run_log import ENDED, TemporalRunLog
from holdfast.settings import Settings
from holdfast.stack import local_address
from holdfast.temporal import connect_temporal, pollers, translated_errors
from holdfast.types import (
    MAX_INPUT_BYTES,
    AgentSpec,
    Entry,
    Message,
    RunId,
    RunProgress,
    RunResult,
    RunStatus,
    RunSummary,
    Usage,
    clean_text,
)

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,199}")
INPUT_SHOWN = 200  # characters of the input in lists
EXECUTION_STATUS = {
    "Completed": RunStatus.COMPLETED,
    "Failed": RunStatus.FAILED,
    "Canceled": RunStatus.CANCELLED,
    "Terminated": RunStatus.TERMINATED,
    "TimedOut": RunStatus.TIMED_OUT,
}


@asynccontextmanager
async def connect(settings: Settings | None = None) -> AsyncIterator[Holdfast]:
    """Connects to the Temporal server that the settings name, else to the local stack's.

    Raises:
        SettingsError: a setting has a bad value.
        TemporalUnavailable: nothing answers; the message says what to do.
    """
    settings = settings or Settings.load()
    address = settings.temporal_address or _local_address(settings)
    async with client_converter(settings) as converter, reachable_bus(settings) as bus:
        client = await connect_temporal(address, settings.temporal_namespace, converter=converter)
        yield Holdfast(
            client,
            task_queue=settings.temporal_task_queue,
            max_input_bytes=largest_input(converter, settings.max_payload_bytes),
            bus=bus,
        )


class Holdfast:
    """Runs agents on one task queue of one Temporal namespace."""

    def __init__(
        self,
        client: Client,
        *,
        task_queue: str = "holdfast",
        max_input_bytes: int = MAX_INPUT_BYTES,
        bus: BusSource | None = None,
    ) -> None:
        """
        Args:
            client: made by `holdfast.temporal.connect_temporal`, or with its data converter.
            task_queue: where the workers poll.
            max_input_bytes: the largest input that a run may be given; more than the default needs a converter that
                takes large payloads off Temporal.
            bus: gives the event bus, which brings text as it is written; without one it comes up to a second late.
        """
        self._client = client
        self._max_input_bytes = max_input_bytes
        self._bus = bus
        self._task_queue = task_queue
        self._log = TemporalRunLog(client)

    async def start(
        self,
        agent: str | Agent | AgentSpec | AgentDefinition,
        input: str,  # noqa: A002 - the field's word
        *,
        id: RunId | None = None,  # noqa: A002 - the field's word
        model: str | None = None,
        max_turns: int | None = None,
        timeout: float | None = None,
        workspace: str | Path | None = None,
        tags: dict[str, str] | None = None,
    ) -> RunHandle:
        """Starts a run and returns at once.

        Args:
            agent: the name of an agent that the worker knows, with or without a version (`NAME@3`), or a definition.
            input: what the agent is asked, at most MAX_PAYLOAD_BYTES.
            id: the run's id, an idempotency key: starting it twice raises RunExists. None: one is made.
            model: overrides the agent's model.
            max_turns: overrides the agent's limit.
            timeout: seconds that the run may take; overrides the agent's limit.
            workspace: folder that the tools work in, on the worker's machine; None: one of the run's own.
            tags: kept with the run.

        Raises:
            UsageError: an argument is not accepted.
            RunExists: the id is taken.
            TemporalUnavailable: the server does not answer.
        """
        wanted = {
            "agent": agent.spec() if isinstance(agent, Agent) else agent,
            "input": _checked_input(input, self._max_input_bytes),
            "model": model,
            "max_turns": max_turns,
            "timeout": timeout,
            "workspace": _absolute(workspace) if workspace else None,
            "tags": tags,
        }
        request = _checked_request({name: value for name, value in wanted.items() if value is not None})
        name = split_version(request.agent)[0] if isinstance(request.agent, str) else request.agent.name
        run_id = _checked_id(id) if id else f"{_slug(name)}-{uuid.uuid4().hex[:8]}"
        await self._start(run_id, name, request)
        return self.handle(run_id)

    async def run(
        self,
        agent: str | Agent | AgentSpec | AgentDefinition,
        input: str,  # noqa: A002 - the field's word
        **options: Any,
    ) -> AgentResult:
        """Starts a run and waits for its end; takes what `start` takes, and gives what `RunHandle.result` gives."""
        handle = await self.start(agent, input, **options)
        return await handle.result()

    def handle(self, id: RunId) -> RunHandle:  # noqa: A002 - the field's word
        """The run of this id; whether there is one shows when it is asked something."""
        return RunHandle(self._client, self._log, id, self._bus)

    async def list(
        self, *, status: RunStatus | None = None, agent: str | None = None, limit: int = 50
    ) -> AsyncIterator[RunSummary]:
        """Runs, newest first.

        Args:
            status: only those that stand like this.
            agent: only those of this agent.
            limit: at most so many.
        """
        conditions = ["WorkflowType = 'AgentRun'", "ExecutionStatus != 'ContinuedAsNew'"]
        if agent:
            conditions.append(f"AgentName = {_quoted(agent)}")
        if status:
            conditions.append(_status_condition(status))
        with translated_errors("any"):
            async for execution in self._client.list_workflows(" AND ".join(conditions), limit=limit):
                yield await _summary(execution)

    async def check_worker(self) -> None:
        """Makes sure that somebody polls the task queue.

        Raises:
            WorkerUnavailable: nobody does.
        """
        with translated_errors("any"):
            polling = await pollers(self._client, self._task_queue)
        if not polling:
            raise WorkerUnavailable(
                f"no worker polls task queue {self._task_queue!r}; `python starter.py up` or `worker` starts one"
            )

    async def _start(self, run_id: RunId, name: str, request: RunRequest) -> None:
        shown = " ".join(request.input.split())[:INPUT_SHOWN]
        try:
            with translated_errors(run_id):
                await self._client.start_workflow(
                    "AgentRun",
                    request,
                    id=run_id,
                    task_queue=self._task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={"input": shown},
                    search_attributes=TypedSearchAttributes(
                        [
                            SearchAttributePair(AGENT_NAME, name),
                            SearchAttributePair(AGENT_STATUS, RunStatus.QUEUED.value),
                        ]
                    ),
                    static_summary=f"{name} · {shown}"[:120],
                    static_details=f"**{name}**\n\n{request.input[:2000]}",
                )
        except WorkflowAlreadyStartedError:
            raise RunExists(f"there is a run {run_id!r} already; follow it, or start with another id") from None


class RunHandle:
    """One run, running or ended."""

    def __init__(
        self,
        client: Client,
        log: TemporalRunLog,
        id: RunId,  # noqa: A002 - the field's word
        bus: BusSource | None = None,
    ) -> None:
        self.id = id
        self._client = client
        self._log = log
        self._bus = bus

    async def result(self, timeout: float | None = None) -> AgentResult:
        """Waits for the end and gives it, well or not; `raise_on_failure()` on it raises.

        Args:
            timeout: seconds to wait; the run goes on if they pass. None: as long as it takes.

        Raises:
            RunNotFound: no run has this id.
            WaitTimedOut: the time passed.
        """
        try:
            async with asyncio.timeout(timeout):
                return AgentResult.from_run(await self._ended())
        except TimeoutError:
            raise WaitTimedOut(f"run {self.id!r} has not ended within {timeout:g} s; it goes on") from None

    async def status(self) -> RunProgress:
        """Where the run stands."""
        return await self._log.progress(self.id)

    async def usage(self) -> Usage:
        """Tokens and cost so far."""
        return (await self.status()).usage

    def entries(self, after: int = -1) -> AsyncIterator[Entry]:
        """The run's log after entry `after`, as far as it goes now."""
        return self._log.entries(self.id, after)

    def transcript(self, after: int = -1) -> AsyncIterator[Message]:
        """The messages after message `after`, as far as they go now."""
        return self._log.messages(self.id, after)

    def events(self, after: int = -1) -> AsyncIterator[Event]:
        """Everything after entry `after` as it happens, until the run ends."""
        return Follower(self._log, self.id, after, self._bus).events()

    async def cancel(self) -> None:
        """Asks the run to stop: a call in flight is broken off, what it gave is kept. Returns at once."""
        with translated_errors(self.id):
            await self._client.get_workflow_handle(self.id).cancel()

    async def terminate(self, reason: str) -> None:
        """Ends the run at once, without a chance to tidy up; prefer `cancel`."""
        with translated_errors(self.id):
            await self._client.get_workflow_handle(self.id).terminate(reason=reason)

    async def _ended(self) -> RunResult:
        try:
            with translated_errors(self.id):
                result: RunResult = await self._client.get_workflow_handle(self.id, result_type=RunResult).result()
                return result
        except WorkflowFailureError as failure:
            return await self._failed(failure.cause)

    async def _failed(self, cause: BaseException) -> RunResult:
        if isinstance(cause, ApplicationError) and cause.details:
            return RunResult.model_validate(cause.details[0])
        progress = await self.status()
        kept = {"run_id", "agent", "status", "output", "error", "usage", "tool_calls", "model", "files"}
        kept |= {"workspace", "started_at"}
        return RunResult(**progress.model_dump(include=kept), turns=progress.turn, finished_at=progress.finished_at)


def _local_address(settings: Settings) -> str:
    address = local_address(settings.holdfast_home)
    if address is None:
        raise TemporalUnavailable(
            f"no local stack runs in {str(settings.holdfast_home)!r}: start it with `python starter.py up`, "
            "or name a server in TEMPORAL_ADDRESS"
        )
    return address


def _absolute(folder: str | Path) -> str:
    return str(Path(folder).resolve())


def _checked_input(text: str, limit: int) -> str:
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"the input of a run must be text that is not empty, not {text!r}")
    size = len(clean_text(text).encode())
    if size > limit:
        raise UsageError(
            f"the input has {size:,} bytes, at most {limit:,} are taken; put it in a file of the workspace"
        )
    return text


def _checked_request(fields: dict[str, Any]) -> RunRequest:
    """Only with what was asked for: it is what a person sees in Temporal's UI."""
    try:
        return RunRequest.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise UsageError(f"the run cannot be started like this: {problems}") from None


def _checked_id(run_id: str) -> str:
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"the run id {run_id!r} is not accepted: 1 to 200 letters, digits and _ . : @ -, a letter or digit first"
        )
    return run_id


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "run"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _status_condition(status: RunStatus) -> str:
    """A run that was ended from outside never came to say so itself: there the server's word counts."""
    shown = f"AgentStatus = '{status.value}'"
    if not status.is_final:
        return f"{shown} AND ExecutionStatus = 'Running'"
    [execution] = [name for name, ended in EXECUTION_STATUS.items() if ended == status]
    open_words = ", ".join(f"'{word.value}'" for word in RunStatus if not word.is_final)
    silent = f"ExecutionStatus = '{execution}' AND (AgentStatus IS NULL OR AgentStatus IN ({open_words}))"
    return f"({shown} OR ({silent}))"


async def _summary(execution: WorkflowExecution) -> RunSummary:
    found = execution.typed_search_attributes
    shown = RunStatus(found.get(AGENT_STATUS) or RunStatus.QUEUED)
    ended = ENDED.get(execution.status) if execution.status else None
    return RunSummary(
        run_id=execution.id,
        agent=found.get(AGENT_NAME) or "unknown",
        status=ended if ended and not shown.is_final else shown,
        turn=found.get(AGENT_TURN) or 0,
        usage=Usage(input_tokens=found.get(AGENT_TOKENS) or 0),
        input=(await execution.memo()).get("input", ""),
        parent=found.get(AGENT_PARENT),
        started_at=execution.start_time or datetime.now(UTC),
        finished_at=execution.close_time,
    )
