"""The client, `Holdfast`: starts, lists and finds runs. It knows workflows by name only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from temporalio.client import Client

from holdfast.agent_result import AgentResult
from holdfast.agents.readers import reader_of
from holdfast.arguments import checked_id, checked_known_id, checked_mapping, checked_number
from holdfast.budgets import Budget
from holdfast.client.commander import Commander
from holdfast.client.conversations import ConversationPlaces, Conversations
from holdfast.client.forks import Forks
from holdfast.client.history import history_of
from holdfast.client.inbox import Inbox
from holdfast.client.inputs import Inputs, RunInput
from holdfast.client.known_agents import KnownAgents, Sources
from holdfast.client.listed_run import ListedRun, listed_runs
from holdfast.client.run_conditions import run_conditions
from holdfast.client.run_handle import RunHandle
from holdfast.client.session import Session
from holdfast.client.starter import RunStarter, request_fields
from holdfast.client.tool_runs import AnyAgent, ExecutedTool, ToolCallOptions, ToolRuns
from holdfast.embedding import Vectors, embed_texts
from holdfast.event_topics import emitted_event
from holdfast.inbox import OpenWait
from holdfast.option_names import RUN, explains_options
from holdfast.ports import BusSource, MirrorSource
from holdfast.ports.contents import ContentSource
from holdfast.ports.retrieval import Embedder
from holdfast.start_options import StartOptions
from holdfast.temporal.event_topics import TemporalEventTopics
from holdfast.temporal.polling_workers import PollingWorkers
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import MAX_INPUT_BYTES, RunId, RunStatus


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
        mirror: MirrorSource | None = None,
        may_run: Callable[[str], bool] | None = None,
        contents: ContentSource | None = None,
        embedder: Callable[[], Embedder | None] | None = None,
        conversations: ConversationPlaces | None = None,
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
            mirror: returns the mirror, which lists the inbox, and from which runs are forked that Temporal has deleted.
            contents: returns the store of attachments; without it, requests carry them, and cannot be large.
            embedder: returns what `embed` uses; without it, no embedding model is configured.
            conversations: where they are saved; without it, `save_conversation` needs a file.
            may_run: returns whether the worker of a name in Temporal may be running; without it, all may.
        """
        self._client = client
        self._embedder = embedder
        self._task_queue = task_queue
        run_log = TemporalRunLog(client)
        self._inbox = Inbox(client, mirror, bus)
        self._workers = PollingWorkers(client, task_queue, may_run)
        inputs = Inputs(contents, max_input_bytes)
        self._starter = RunStarter(client, KnownAgents(self._workers, agents), task_queue=task_queue, inputs=inputs)
        forks = Forks(run_log, mirror, self._starter)
        saver = Conversations(forks, conversations)
        self._opened = partial(RunHandle, client, run_log, bus=bus, forks=forks, inputs=inputs, conversations=saver)
        self.tool_runs = ToolRuns(client, self._starter, task_queue)
        """Makes the calls of `execute_tool`."""

    @property
    def temporal(self) -> Client:
        """The Temporal client, for what this class does not cover."""
        return self._client

    @explains_options(RUN)
    async def start(
        self,
        agent: AnyAgent,
        input: RunInput,  # noqa: A002 - the field's word
        *,
        id: RunId | None = None,  # noqa: A002 - the field's word
        model: str | list[str] | tuple[str, ...] | None = None,
        model_settings: Mapping[str, JsonValue] | None = None,
        max_turns: int | None = None,
        timeout: float | None = None,
        budget: Budget | Mapping[str, Any] | None = None,
        workspace: str | Path | None = None,
        tags: dict[str, str] | None = None,
        context: Mapping[str, JsonValue] | None = None,
        approve: Sequence[str] | None = None,
        approval_timeout: float | None = None,
        history: Sequence[Any] | None = None,
        attach: bool = False,
    ) -> RunHandle:
        """Starts a run and returns at once.

        Args:
            agent: the name of an agent that the worker knows, with or without a version (`NAME@3`), or a definition.
            input: the first message to the agent: text of at most MAX_PAYLOAD_BYTES; data, as JSON values, a pydantic
                model or a dataclass, which the agent reads as JSON; or a list with an `Image` or a `File` in it, beside
                text: `["What is this?", Image("x.png")]`. A list without one is data.
            id: the run's id, an idempotency key: starting it twice raises RunExists. `None` means a new id.
            model: overrides the agent's model; of several, the first that is available answers.
            model_settings: further fields of the requests to the model, as `{"temperature": 0}`; they override those of
                the agent one by one, and `None` leaves one out.
            max_turns: overrides the agent's limit.
            timeout: maximum seconds of the run; overrides the agent's limit.
            budget: what the run and its children may use, as `{"cost_usd": 0.5, "on_limit": "ask"}`; overrides the
                agent's, field by field.
            workspace: folder that the tools work in, on the worker's machine; `None` means a new folder for the run.
            tags: stored with the run.
            context: JSON values for the tools of this run and of the runs that it starts, as `ToolContext.context`; at
                most 64 KB. The model does not see them, but they are stored with the run: pass no secrets.
            approve: names of tools, or one name, whose calls a person must approve in this run, although neither the
                tool nor the agent requires it; "all" stands for every tool that has effects outside of the run.
            approval_timeout: seconds that an approval or a question waits for a person; then a call is denied. `None`
                means the worker's APPROVAL_TIMEOUT, which is without limit by default.
            history: messages of an earlier conversation, in OpenAI's chat format, which come before the input.
            attach: return the run with this id if it has the same agent and the same input, active or ended, so that a
                program that is started again continues it.

        Raises:
            UsageError: an argument is not accepted.
            UnknownAgent: workers are running, but neither they nor the registry know the name.
            RunExists: the id is taken; with `attach`, by another agent or input.
            TemporalUnavailable: the server is unavailable.
        """
        wanted = request_fields(
            agent,
            approve,
            input=input,
            model=model,
            model_settings=model_settings,
            max_turns=max_turns,
            timeout=timeout,
            budget=budget,
            workspace=workspace,
            tags=tags,
            context=context,
            approval_timeout=approval_timeout,
            history=history_of(history) if history else None,
        )
        return self._handle(await self._starter.start(wanted, id, attach=attach), agent)

    @explains_options(RUN)
    def session(
        self,
        id: RunId,  # noqa: A002 - the field's word
        agent: AnyAgent,
        *,
        idle_limit: float | None = None,
        expires: datetime | None = None,
        model: str | list[str] | tuple[str, ...] | None = None,
        model_settings: Mapping[str, JsonValue] | None = None,
        max_turns: int | None = None,
        timeout: float | None = None,
        budget: Budget | Mapping[str, Any] | None = None,
        workspace: str | Path | None = None,
        tags: dict[str, str] | None = None,
        context: Mapping[str, JsonValue] | None = None,
        approve: Sequence[str] | None = None,
        approval_timeout: float | None = None,
    ) -> Session:
        """Returns a session: a conversation with an agent that waits for the next message after each answer.

        Nothing is started before the first message. If a session with this id is open, messages go to it, and the
        other arguments are ignored.

        Args:
            id: the session's id, which is that of its run.
            agent: as in `start`.
            idle_limit: seconds without a message after which the session ends; `None` means never.
            expires: when the session ends in any case.
            model: as in `start`.
            model_settings: as in `start`.
            max_turns: maximum number of model calls for each answer.
            timeout: maximum seconds for which the session may work; waiting does not count.
            budget: as in `start`, for the whole session.
            workspace: as in `start`.
            tags: as in `start`.
            context: as in `start`.
            approve: as in `start`.
            approval_timeout: as in `start`.

        Raises:
            UsageError: the id is not accepted.
        """
        wanted = request_fields(
            agent,
            approve,
            session=True,
            input="",
            idle_limit=idle_limit,
            expires=expires,
            model=model,
            model_settings=model_settings,
            max_turns=max_turns,
            timeout=timeout,
            budget=budget,
            workspace=workspace,
            tags=tags,
            context=context,
            approval_timeout=approval_timeout,
        )
        return Session(
            self._handle(checked_id(id), agent),
            Commander(self._client),
            lambda: self._starter.with_command(wanted, id),
            reader_of(agent),
        )

    @explains_options(RUN, StartOptions)
    async def run(
        self,
        agent: AnyAgent,
        input: RunInput,  # noqa: A002 - the field's word
        **options: Any,
    ) -> AgentResult:
        """Starts a run as `start` does, waits for its end and returns its result."""
        handle = await self.start(agent, input, **options)
        return await handle.result()

    async def execute_tool(
        self,
        agent: AnyAgent,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        /,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        approve: bool = False,
        timeout: float | None = None,
        context: Mapping[str, JsonValue] | None = None,
        workspace: str | Path | None = None,
        **params: Any,
    ) -> ExecutedTool:
        """Calls a tool of an agent without a run and without a model, and returns its result, also of a failed call.

        The call is as durable as in a run: it survives the crash of its worker, and takes effect at most once if the
        tool is neither read-only nor idempotent. If it is awaited no longer, it is cancelled.

        Args:
            agent: as in `start`. With an `Agent`, `content` of the result has the type that the function returns.
            tool: the name of the tool.
            arguments: arguments of the tool, needed for those that are called as an option is.
            id: an idempotency key: the same call under the same id is made once.
            approve: the approval of the person who makes the call, for a tool that needs one.
            timeout: seconds to wait; then the call is cancelled.
            context: as in `start`.
            workspace: as in `start`.
            **params: further arguments of the tool.

        Raises:
            ApprovalRequired: the call needs a person's approval.
            UnknownAgent: as in `start`.
            UsageError: the agent has no such tool, or only a run can perform it.
            RunExists: the id belongs to another call.
            WaitTimedOut: the call has not ended in time.
            TemporalUnavailable: the server is unavailable.
        """
        options = ToolCallOptions(id, approve, timeout, context, workspace)
        return await self.tool_runs.execute(agent, tool, {**checked_mapping("arguments", arguments), **params}, options)

    def handle(self, id: RunId) -> RunHandle:  # noqa: A002 - the field's word
        """Returns a handle of the run with this id; only the handle's methods check that the run exists."""
        return self._handle(checked_known_id(id))

    def _handle(self, run_id: RunId, agent: AnyAgent | None = None) -> RunHandle:
        return self._opened(id=run_id, read=reader_of(agent))

    async def emit(
        self,
        name: str,
        data: JsonValue = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> None:
        """Emits an event: each run that waits for this name receives it, as does one that begins to within an hour.

        Args:
            name: what the runs wait for, 1 to 200 characters.
            data: what they are told, at most 64 KB as JSON.
            id: an idempotency key; within an hour, an event with a known id is not emitted again.
            by: who emits it, for people.

        Raises:
            UsageError: an argument is not accepted.
            TemporalUnavailable: the server is unavailable.
        """
        event = emitted_event(data, id=id, by=by)
        await TemporalEventTopics(self._client, self._task_queue).emit(name, event)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns a vector of each text, in order, from the model that EMBEDDING_MODEL names.

        Args:
            texts: 1 to 2,048 texts, none blank, each of at most 32,000 characters.

        Raises:
            UsageError: the texts are not accepted, or no embedding model is configured.
            ModelUnavailable: the model has not answered; the call can be repeated.
            ModelRefused: the model does not accept the texts.
        """
        return await embed_texts(self._embedder() if self._embedder else None, texts)

    async def list(
        self,
        *,
        status: RunStatus | None = None,
        agent: str | None = None,
        root: RunId | None = None,
        stage: str | None = None,
        where: str | None = None,
        tags: Mapping[str, str] | None = None,
        limit: int = 50,
    ) -> AsyncIterator[ListedRun]:
        """Yields runs, newest first.

        Args:
            status: only runs with this status.
            agent: only runs of this agent.
            root: only this run and the runs below it, which its agent and theirs have started.
            stage: only runs whose tools have entered this stage last, as `building_ui`.
            where: only runs that match this condition, in Temporal's language of list filters, as
                `AgentStatus = "failed" AND AgentTurn > 10`.
            tags: only runs with all of these tags.
            limit: maximum number of runs.

        Raises:
            UsageError: `where` or `stage` is not accepted; the message says what to change.
        """
        conditions = run_conditions(status=status, agent=agent, root=root, stage=stage, tags=tags or {})
        checked_number("limit", limit, 0)
        async for run in listed_runs(self._client, conditions, where=where, limit=limit):
            yield run

    async def inbox(self) -> Sequence[OpenWait]:
        """Returns everything that waits for a person, over all runs, oldest first.

        Raises:
            TemporalUnavailable: neither the mirror nor the server is available.
        """
        return await self._inbox.waits()

    def watch_inbox(self) -> AsyncIterator[OpenWait]:
        """Yields everything that waits for a person, and then whatever is new, without end."""
        return self._inbox.watch()

    async def check_worker(self) -> None:
        """Checks that a worker polls the task queue.

        Raises:
            WorkerUnavailable: none does.
        """
        await self._workers.check()
