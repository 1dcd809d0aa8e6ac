"""The client, `Holdfast`: starts, lists and finds runs. It knows workflows by name only."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from holdfast import names
from holdfast._version import __version__
from holdfast.agents.agent import Agent
from holdfast.bounds import shortened
from holdfast.client.known_agents import KnownAgents, Sources
from holdfast.client.listed_run import ListedRun
from holdfast.client.result import AgentResult
from holdfast.client.run_handle import RunHandle
from holdfast.definition import AgentDefinition, split_version
from holdfast.errors import (
    RunExists,
    UsageError,
    WorkerUnavailable,
)
from holdfast.ports import BusSource
from holdfast.protocol import RunRequest, request_problems
from holdfast.search_attributes import (
    AGENT_NAME,
    AGENT_STATUS,
)
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.executions import newest_first, quoted
from holdfast.temporal.list_filter import check_filter
from holdfast.temporal.polling_workers import PollingWorkers
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.temporal.visibility import explained_rejections
from holdfast.types import (
    MAX_INPUT_BYTES,
    AgentSpec,
    RunId,
    RunStatus,
    clean_text,
)

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,199}")
EACH_RUN = "WorkflowType = 'AgentRun' AND ExecutionStatus != 'ContinuedAsNew'"
"""List filter of all runs, each once."""
INPUT_SHOWN = 200  # characters of the input that lists show
EXECUTION_STATUS = {
    "Completed": RunStatus.COMPLETED,
    "Failed": RunStatus.FAILED,
    "Canceled": RunStatus.CANCELLED,
    "Terminated": RunStatus.TERMINATED,
    "TimedOut": RunStatus.TIMED_OUT,
}


class Holdfast:
    """Runs agents on one task queue of one Temporal namespace."""

    def __init__(
        self,
        client: Client,
        *,
        task_queue: str = "holdfast",
        max_input_bytes: int = MAX_INPUT_BYTES,
        bus: BusSource | None = None,
        agents: Sources | None = None,
        may_run: Callable[[str], bool] | None = None,
    ) -> None:
        """
        Args:
            client: made by `holdfast.temporal.connection.connect_temporal`, or with its data converter.
            task_queue: the task queue of the workers.
            max_input_bytes: the largest accepted input of a run; a limit above the default needs a converter that
                stores large payloads outside Temporal.
            bus: returns the event bus, which delivers text as it is written; without one, text arrives up to a second
                later.
            agents: returns where to look up names of agents; without it, a name that nobody knows is not refused.
            may_run: returns whether the worker of a name in Temporal may be running; without it, all may.
        """
        self._client = client
        self._max_input_bytes = max_input_bytes
        self._bus = bus
        self._task_queue = task_queue
        self._log = TemporalRunLog(client)
        self._workers = PollingWorkers(client, task_queue, may_run) if may_run else PollingWorkers(client, task_queue)
        self._known_agents = KnownAgents(self._workers, agents)

    @property
    def temporal(self) -> Client:
        """The Temporal client, for what this class does not cover."""
        return self._client

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
        approve: Sequence[str] | None = None,
    ) -> RunHandle:
        """Starts a run and returns at once.

        Args:
            agent: the name of an agent that the worker knows, with or without a version (`NAME@3`), or a definition.
            input: the first message to the agent, at most MAX_PAYLOAD_BYTES.
            id: the run's id, an idempotency key: starting it twice raises RunExists. `None` means a new id.
            model: overrides the agent's model.
            max_turns: overrides the agent's limit.
            timeout: maximum seconds of the run; overrides the agent's limit.
            workspace: folder that the tools work in, on the worker's machine; `None` means a new folder for the run.
            tags: stored with the run.
            approve: names of tools whose calls a person must approve in this run, although neither the tool nor the
                agent requires it; "all" stands for every tool that has effects outside of the run.

        Raises:
            UsageError: an argument is not accepted.
            UnknownAgent: workers are running, but neither they nor the registry know the name.
            RunExists: the id is taken.
            TemporalUnavailable: the server is unavailable.
        """
        wanted = {
            "agent": agent.spec() if isinstance(agent, Agent) else agent,
            "input": _checked_input(input, self._max_input_bytes),
            "model": model,
            "max_turns": max_turns,
            "timeout": timeout,
            "workspace": _absolute(workspace) if workspace else None,
            "tags": tags,
            "approve": list(approve) if approve is not None else None,
            "client_version": __version__,
        }
        request = _checked_request({name: value for name, value in wanted.items() if value is not None})
        if isinstance(request.agent, str):
            await self._known_agents.check(request.agent)
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
        """Starts a run as `start` does, waits for its end and returns its result."""
        handle = await self.start(agent, input, **options)
        return await handle.result()

    def handle(self, id: RunId) -> RunHandle:  # noqa: A002 - the field's word
        """Returns a handle of the run with this id; only the handle's methods check that the run exists."""
        return RunHandle(self._client, self._log, id, self._bus)

    async def list(
        self,
        *,
        status: RunStatus | None = None,
        agent: str | None = None,
        where: str | None = None,
        limit: int = 50,
    ) -> AsyncIterator[ListedRun]:
        """Yields runs, newest first.

        Args:
            status: only runs with this status.
            agent: only runs of this agent.
            where: only runs that match this condition, in Temporal's language of list filters, as
                `AgentStatus = "failed" AND AgentTurn > 10`.
            limit: maximum number of runs.

        Raises:
            UsageError: `where` is not accepted; the message says what to change.
        """
        conditions = [EACH_RUN]
        if where is not None:
            await check_filter(self._client, where)
            conditions.append(f"({where})")
        if agent:
            conditions.append(f"AgentName = {quoted(agent)}")
        if status:
            conditions.append(_status_condition(status))
        with translated_errors():
            async with explained_rejections(self._client):
                found = await newest_first(self._client, " AND ".join(conditions), limit)
            for execution in found:
                yield await ListedRun.of(execution)

    async def check_worker(self) -> None:
        """Checks that a worker polls the task queue.

        Raises:
            WorkerUnavailable: none does.
        """
        if not await self._workers.names():
            raise WorkerUnavailable(
                f"no worker polls task queue {self._task_queue!r}; `holdfast up` or `holdfast worker` starts one"
            )

    async def _start(self, run_id: RunId, name: str, request: RunRequest) -> None:
        shown = " ".join(request.input.split())[:INPUT_SHOWN]
        try:
            with translated_errors(run_id):
                async with explained_rejections(self._client):
                    await self._client.start_workflow(
                        names.AGENT_RUN,
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
            raise RunExists(f"run {run_id!r} exists already; follow it, or start a run with another id") from None


def _absolute(folder: str | Path) -> str:
    return str(Path(folder).resolve())


def _checked_input(text: str, limit: int) -> str:
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"the input of a run must be text that is not empty, not {text!r}")
    size = len(clean_text(text).encode())
    if size > limit:
        raise UsageError(
            f"the input has {size:,} bytes, but at most {limit:,} are accepted; put it in a file of the workspace"
        )
    return text


def _checked_request(fields: dict[str, Any]) -> RunRequest:
    """Returns a request with only the fields that were given, as it is shown in Temporal's UI."""
    try:
        return RunRequest.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(
            f"{place}={shortened(repr(given), 80)}: {reason}" for place, reason, given in request_problems(error)
        )
        raise UsageError(f"the run cannot be started: {problems}") from None


def _checked_id(run_id: str) -> str:
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"the run id {run_id!r} is not accepted: 1 to 200 letters, digits and _ . : @ -, a letter or digit first"
        )
    return run_id


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "run"


def _status_condition(status: RunStatus) -> str:
    """Returns the visibility query of a status; for a run that was ended from outside, the server's status counts."""
    shown = f"AgentStatus = '{status.value}'"
    if not status.is_final:
        return f"{shown} AND ExecutionStatus = 'Running'"
    [execution] = [name for name, ended in EXECUTION_STATUS.items() if ended == status]
    open_words = ", ".join(f"'{word.value}'" for word in RunStatus if not word.is_final)
    silent = f"ExecutionStatus = '{execution}' AND (AgentStatus IS NULL OR AgentStatus IN ({open_words}))"
    return f"({shown} OR ({silent}))"
