"""Agents that a program runs itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

from pydantic import JsonValue

from holdfast.agents import agent as definition
from holdfast.agents import services
from holdfast.agents.conversion import agent_fields, handed_to, name_of
from holdfast.agents.single_call import single_call
from holdfast.agents.tool_context import current_call
from holdfast.arguments import check_instance, checked_id, checked_mapping
from holdfast.embedding import embed_texts
from holdfast.errors import UsageError
from holdfast.option_names import RUN, explains_options
from holdfast.run_status import TaskExecutionMode
from holdfast.start_options import SessionOptions, StartOptions

if TYPE_CHECKING:
    from holdfast.agent_result import AgentResult
    from holdfast.client.agent_runner import AgentRunner
    from holdfast.client.blocking import BlockingAgent
    from holdfast.client.inputs import RunInput
    from holdfast.client.own_session import OwnSession
    from holdfast.client.run_handle import RunHandle
    from holdfast.client.session import Answer, Session
    from holdfast.client.tool_runs import ExecutedTool
    from holdfast.events import Event


IN_TOOLS = frozenset({"budget", "max_turns", "timeout"})
"""Options of an agent that a tool calls."""


class Agent(definition.Agent):
    """An agent: its definition, and the methods that run it from a program of yours.

        clerk = Agent(name="clerk", system_prompt="You answer about the stock.", tools=[stock])
        result = await clerk.run("How many ropes?", id="stock-1")

    The run itself, its model calls and its storage are the worker's, which is started if need be. The functions of the
    agent's tools run in this process. If it ends, the run waits for it; started again, it serves the run again.

    The arguments are those of `holdfast.agents.agent.Agent`; a subclass may define them as class attributes.
    """

    name = ""

    @classmethod
    def of(cls, agent: object) -> Self:
        """Returns the agent for one of another library, such as openai-agents, which then needs it for its tools only.

            clerk = Agent.of(agents.Agent(name="clerk", instructions="You sell ropes.", tools=[stock]))

        Args:
            agent: any object that has a `name` and, as far as it needs them, `instructions` (or `system_prompt`),
                `model` by its name, `model_settings`, `tools` of any kind that `Agent(tools=...)` accepts,
                `mcp_servers`, and `handoffs` to other such agents, which are converted too.

        Raises:
            AgentDefinitionError: it has something that Holdfast cannot express; the message says what.
        """
        return cls._converted(agent, {})

    @classmethod
    def _converted(cls, agent: object, known: dict[int, Self | str]) -> Self:
        """Converts an agent; `known` are those that have been, and the names of those that are being converted."""
        known[id(agent)] = name_of(agent)
        handoffs: list[Self | str] = []
        for other in handed_to(agent):
            handoffs.append(known[id(other)] if id(other) in known else cls._converted(other, known))  # noqa: PERF401
        made = cls(**agent_fields(agent), handoffs=handoffs)
        known[id(agent)] = made
        return made

    @explains_options(RUN, StartOptions)
    async def run(
        self,
        input: RunInput,  # noqa: A002 - the field's word
        *,
        max_iterations: int | None = None,
        **options: Unpack[StartOptions],
    ) -> AgentResult:
        """Runs the agent, and returns its answer when it has one.

        With an `id`, the call is resumable: a program that is started again, and asks the same under the same id, gets
        the result of the first run, whether that is still active or has ended. If the call is cancelled, as by
        `asyncio.timeout`, so is the run.

        Args:
            input: what the agent is asked: text, data, or a list with images and files; see `Holdfast.start`.
            max_iterations: the same as `max_turns`.
            options: see `Holdfast.start`.

        Raises:
            UsageError: an argument is not accepted.
            RunExists: a run with this id has another agent or another input.
            TemporalUnavailable: the server is unavailable, and could not be started.
        """
        if max_iterations is not None:
            options["max_turns"] = max_iterations
        return await (await _runner()).run(self, input, options)

    @explains_options(RUN, StartOptions)
    async def start(self, input: RunInput, **options: Unpack[StartOptions]) -> RunHandle:  # noqa: A002
        """Starts a run as `run` does, and returns at once; the run continues whatever happens to the handle."""
        return await (await _runner()).start(self, input, options)

    @overload
    async def execute_task(
        self, task: RunInput, mode: Literal["blocking"] = "blocking", **options: Unpack[StartOptions]
    ) -> AgentResult: ...
    @overload
    async def execute_task(
        self, task: RunInput, mode: Literal["background"], **options: Unpack[StartOptions]
    ) -> RunHandle: ...
    @overload
    async def execute_task(
        self, task: RunInput, mode: Literal["streaming"], **options: Unpack[StartOptions]
    ) -> AsyncIterator[Event]: ...
    @overload
    async def execute_task(
        self, task: RunInput, mode: TaskExecutionMode | str, **options: Unpack[StartOptions]
    ) -> AgentResult | RunHandle | AsyncIterator[Event]: ...
    @explains_options(RUN, StartOptions)
    async def execute_task(
        self,
        task: RunInput,
        mode: TaskExecutionMode | str = TaskExecutionMode.BLOCKING,
        **options: Unpack[StartOptions],
    ) -> AgentResult | RunHandle | AsyncIterator[Event]:
        """Runs the agent in a mode that is chosen at run time: as `run`, as `stream`, or as `start`.

        Args:
            task: as `input` of `run`.
            mode: `blocking` returns the result, `streaming` an iterator of what happens, `background` the handle.
            options: see `Holdfast.start`.

        Raises:
            UsageError: there is no such mode, or as `run` does.
        """
        if mode not in list(TaskExecutionMode):
            raise UsageError(f"mode={mode!r:.80} is not accepted; the modes are {', '.join(TaskExecutionMode)}")
        if mode == TaskExecutionMode.STREAMING:
            return self.stream(task, **options)
        if mode == TaskExecutionMode.BACKGROUND:
            return await self.start(task, **options)
        return await self.run(task, **options)

    @explains_options(RUN, StartOptions)
    async def stream(
        self,
        input: RunInput,  # noqa: A002 - the field's word
        **options: Unpack[StartOptions],
    ) -> AsyncIterator[Event]:
        """Runs the agent as `run` does, and yields what happens until the end: entries of the log, and pieces of text.

        Leaving the iteration leaves the run alone.
        """
        async for event in (await _runner()).stream(self, input, options):
            yield event

    @explains_options(RUN, StartOptions)
    async def generate(self, prompt: RunInput, max_length: int = 20, **options: Unpack[StartOptions]) -> str:
        """Asks the agent's model once, without tools, and returns what it writes.

        It is a run with one model call, so it survives crashes, and counts in usage and budgets.

        Args:
            prompt: what the model is asked, after the agent's system prompt.
            max_length: most tokens of the answer, which then ends in the middle; with a model that reasons, this
                includes its reasoning.
            options: see `Holdfast.start`.

        Raises:
            UsageError: an argument is not accepted.
            RunFailed: the model has not answered.
        """
        runner = await _runner()
        result = await runner.run(self, prompt, options, single_call(runner.spec_of(self), max_length))
        return result.raise_on_failure().content

    async def call_agent(
        self,
        other: definition.Agent | str,
        query: RunInput,
        **options: Unpack[StartOptions],
    ) -> AgentResult:
        """Runs another agent, and returns its result, also if it has failed.

        Called by an async tool, it is a child of the run of that tool, as with `ToolContext.call_agent`. Called by a
        program, it is a run of its own. Several at once: `asyncio.gather(...)`, or `run_agents_concurrently`.

        Args:
            other: the agent, or the name of one that a worker or the registry knows.
            query: what it is asked, as the input of `run`.
            options: see `Holdfast.start`; in a tool only `max_turns`, `timeout` and `budget`.

        Raises:
            UsageError: an argument is not accepted.
        """
        if (call := current_call.get()) is None:
            check_instance("other", other, definition.Agent | str, "an Agent, or the name of one")
            return await (await _runner()).run(other, query, options)
        if refused := sorted(options.keys() - IN_TOOLS):
            raise UsageError(
                f"call_agent: a tool cannot set {', '.join(refused)}, which a child has from its run; it can set "
                f"{', '.join(sorted(IN_TOOLS))}"
            )
        return await call.call_agent(other, query, **{name: options.get(name) for name in IN_TOOLS})  # type: ignore[arg-type]

    async def execute_tool(
        self,
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
        """Calls a tool of the agent without a run and without a model; see `Holdfast.execute_tool`."""
        runner = await _runner()  # loads the client
        from holdfast.client.tool_runs import ToolCallOptions  # noqa: PLC0415 - a definition needs no client

        options = ToolCallOptions(id, approve, timeout, context, workspace)
        return await runner.execute_tool(self, tool, {**checked_mapping("arguments", arguments), **params}, options)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns a vector of each text; see `Holdfast.embed`. It needs neither a worker nor a Temporal server."""
        return await embed_texts(await asyncio.to_thread(services.embedder), texts)

    @explains_options(RUN, SessionOptions)
    def session(self, id: str, **options: Unpack[SessionOptions]) -> OwnSession:  # noqa: A002
        """Returns a conversation with the agent that survives crashes; see `Holdfast.session`."""
        from holdfast.client.own_session import OwnSession  # noqa: PLC0415 - a definition needs no client

        async def opened() -> Session:
            return await (await _runner()).session(self, id, options)

        return OwnSession(checked_id(id), opened)

    async def chat(self, message: RunInput, *, id: str | None = None) -> Answer:  # noqa: A002
        """Sends a message in a conversation, and returns the agent's answer, whose text is its `reply`.

        Args:
            message: text, data, or a list with images and files, as the input of `run`.
            id: of the conversation, which continues under it after a crash as well. `None` means a conversation of this
                object, which begins with its first message.
        """
        return await self.session(id or self._own_chat).ask(message)

    async def save_conversation(
        self,
        id: str | None = None,  # noqa: A002 - the field's word
        *,
        file: str | Path | None = None,
        log: bool = True,
    ) -> Path:
        """Saves a conversation, as one line of a JSONL file for training and as a row in the database.

            path = await clerk.save_conversation()

        Args:
            id: of the session or of the run; `None` means the conversation of this object, which `chat` has begun.
            file: as in `RunHandle.save_conversation`.
            log: as in `RunHandle.save_conversation`.

        Returns:
            The path of the file.

        Raises:
            UsageError: there is no conversation, or no answer in it yet, or an argument is not accepted.
            RunNotFound: no session and no run has this id.
            Unavailable: as `RunHandle.save_conversation`.
        """
        if id is None and "_own_chat" not in self.__dict__:
            raise UsageError(f"agent {self.name!r} has no conversation to save: `chat` begins one, or pass an id")
        handle = await (await _runner()).handle(self._own_chat if id is None else id)
        return await handle.save_conversation(file=file, log=log)

    @cached_property
    def sync(self) -> BlockingAgent:
        """The methods of the agent for code without an event loop: `agent.sync.run(...)` blocks until the run ends."""
        from holdfast.client.blocking import BlockingAgent  # noqa: PLC0415 - a definition needs no client

        return BlockingAgent(self)

    @cached_property
    def _own_chat(self) -> str:
        return f"chat-{uuid.uuid4().hex[:12]}"


async def _runner() -> AgentRunner:
    """Returns what runs agents; in a thread, as its modules take half a second to load."""
    found: AgentRunner = await asyncio.to_thread(services.agent_runner)
    return found
