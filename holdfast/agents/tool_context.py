"""The context of a tool's call: what its function knows of the run, and what it can ask of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from pydantic import JsonValue, ValidationError

from holdfast._util.logger import FieldLogger, get_logger
from holdfast.agent_result import AgentResult
from holdfast.agents.cancellation import Cancellation
from holdfast.agents.marks import Marks
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.budgets import Budget, checked_budget, plain_budget
from holdfast.call_progress import CallProgress
from holdfast.elicitation import Elicitation
from holdfast.errors import UsageError
from holdfast.event_topics import MAX_NAME_CHARS, EmittedEvent, checked_event_name
from holdfast.http_access import HttpAccess
from holdfast.ports.memory_files import MemoryFolder
from holdfast.ports.retrieval import TextMemoryProtocol
from holdfast.ports.sandbox import SandboxProtocol
from holdfast.rejection import reason_of

CallbackT = TypeVar("CallbackT", bound=Callable[[], object])


class ToolChannel(Protocol):
    """What carries reports and events of a call out of the thread that it runs in; both return at once."""

    def report(self, progress: CallProgress) -> None:
        """Shows observers of the run how far the call is."""

    def emit(self, name: str, event: EmittedEvent) -> None:
        """Emits an event, at the latest before the result of the call is returned."""


class AgentCaller(Protocol):
    """Calls agents for the function of a tool."""

    async def call(self, agent: Any, given: Any, options: Mapping[str, Any], *, folder: Path) -> AgentResult:
        """Runs an agent as a child of the run of the tool, and returns its result; see `ToolContext.call_agent`."""


@dataclass(frozen=True)
class ToolContext:
    """The context of a tool call; a tool that declares a parameter of this type receives it."""

    run_id: str
    call_id: str
    agent: str
    turn: int
    attempt: int
    """1 for the first attempt."""
    workspace: Path
    """The folder that the run works in; it may not exist yet."""
    memories: TextMemoryProtocol | None = field(default=None, repr=False, compare=False)
    """Text memory of the agents; `None` means that the worker has none."""
    memory_folder: MemoryFolder | None = field(default=None, repr=False, compare=False)
    """The files that the agent keeps over its runs; `None` means that it has no `memory_path`."""
    roots: WorkspaceRoots | None = field(default=None, repr=False, compare=False)
    """The folders that the worker may use; `None`, as in tests that call a tool directly, means any."""
    sandbox: SandboxProtocol | None = field(default=None, repr=False, compare=False)
    """Runs commands of the model; `None` means that the worker has none."""
    tool: str = ""
    """The name of the tool."""
    context: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
    """What the run was started with as `context=`; the model does not see it."""

    marks: Marks = field(default_factory=Marks, repr=False, compare=False)
    """What the call has asked for with the methods below."""
    http: HttpAccess = field(default_factory=HttpAccess, repr=False, compare=False)
    """The hosts that the worker's settings let tools reach over HTTP."""
    cancellation: Cancellation = field(default_factory=Cancellation, repr=False, compare=False)
    elicitation: Elicitation | None = field(default=None, repr=False, compare=False)
    """What people have answered to the MCP server that performs the call; `None` means nothing yet."""
    channel: ToolChannel | None = field(default=None, repr=False, compare=False)
    """`None`, as in tests that call a tool directly, means that nobody observes the call."""
    agents: AgentCaller | None = field(default=None, repr=False, compare=False)
    """Calls other agents; `None`, likewise, means that there is no run for that."""

    @property
    def idempotency_key(self) -> str:
        """Identifies this call; the same in each of its attempts."""
        return f"{self.run_id}/{self.turn}/{self.call_id}"

    @property
    def logger(self) -> FieldLogger:
        """Writes to the worker's log, with the run and the tool on each line: `logger.info("found", rows=3)`."""
        return get_logger("holdfast.tool").bind(run_id=self.run_id, tool=self.tool)

    @property
    def is_cancelled(self) -> bool:
        """Whether the run was cancelled, or the call has exceeded its timeout, so that the function should return.

        A plain function must look, as a thread cannot be stopped. An `async def` receives a CancelledError instead.
        """
        return self.cancellation.is_cancelled

    def on_cancel(self, callback: CallbackT) -> CallbackT:
        """Calls a function without arguments when the call is cancelled, or exceeds its timeout; returns the function.

        It is called once, in a thread of its own, the last one that was added first; at once if it is too late already.
        An example is `context.on_cancel(process.kill)`.
        """
        self.cancellation.add(callback)
        return callback

    def stage(self, name: str, progress: float | None = None) -> None:
        """Tells everyone who observes the run which stage the call has entered; never raises.

        The run records the stages that it is told of, at most one a second, and the last one with the result of the
        call. Runs are found by it if it is one word, as `building_ui`.

        Args:
            name: of the stage, at most 200 characters.
            progress: how much of the call is done, 0 to 100; `None` leaves it as it is, as does what is not a number.
                A smaller or larger number counts as 0 or 100. Either is reported in the worker's log.
        """
        self._report(self.marks.enter_stage(name, progress))

    def progress(self, done: float | str, text: str | None = None) -> None:
        """Tells everyone who observes the run how far the call is; never raises.

        Args:
            done: the fraction that is done, 0 to 1, or a text that says what the call is doing.
            text: what the call is doing, beside a fraction.
        """
        self._report(self.marks.add_progress(done, text))

    def emit(self, name: str, data: JsonValue = None) -> None:
        """Emits an event, which wakes every run that waits for its name; returns at once.

        It is emitted before the result of this call is recorded, and once, however often the call is attempted.

        Args:
            name: what the runs wait for, 1 to 200 characters.
            data: what they are told, at most 64 KB as JSON.

        Raises:
            UsageError: the name or the data is not accepted.
        """
        key = f"{self.idempotency_key}/{self.marks.events}"
        key = key if len(key) <= MAX_NAME_CHARS else hashlib.sha256(key.encode()).hexdigest()
        try:
            name = checked_event_name(name)
            event = EmittedEvent(data=data, id=key, by=f"run:{self.run_id}")
        except ValidationError as error:
            raise UsageError(f"the event {name!r:.80} cannot be emitted: {reason_of(error.errors()[0])}") from None
        self.marks.events += 1
        if self.channel is not None:
            self.channel.emit(name, event)

    async def call_agent(
        self,
        agent: Any,
        input: Any,  # noqa: A002 - the field's word
        *,
        max_turns: int | None = None,
        timeout: float | None = None,
        budget: Budget | Mapping[str, Any] | None = None,
    ) -> AgentResult:
        """Runs another agent as a child of this run, and returns its result, also if it has failed.

        The child shares the workspace, the context and the budget of this run, ends with it, and counts in its
        `tree_usage`. A later attempt of this tool that asks the same finds the child that an earlier one has started. A
        child that is still active when the tool has ended is cancelled. The `timeout` of the tool includes the child.

        Args:
            agent: an instance of `Agent`, or the name of one, with or without a version (`NAME@3`).
            input: what it is asked: text, data, or a list of text, `Image` and `File`, as the input of a run. Relative
                paths are below the workspace.
            max_turns: maximum number of model calls of the child.
            timeout: maximum seconds of the child.
            budget: what the child may use; never more than this run may.

        Raises:
            UsageError: an argument is not accepted, or there is no run, as in `execute_tool`.
            CommandRefused: the run is five runs below the first one, or its budget is used up.
            StoreUnavailable: an image or a file of the input could not be stored.
        """
        if self.agents is None:
            raise UsageError("call_agent needs a run: this tool was called directly")
        given = {"max_turns": max_turns, "timeout": timeout, "budget": _plain(budget)}
        options = {name: value for name, value in given.items() if value is not None}
        return await self.agents.call(agent, input, options, folder=self.workspace)

    def create_checkpoint(self, name: str, data: Any = None) -> str:
        """Makes a checkpoint of the run, and returns its id; never raises.

        It is recorded with the result of this call, also if that is an error, or the call is cancelled.

        Args:
            name: for people, who can restore it by this name or by the id.
            data: JSON values, dataclasses or models of up to 64 KB. What cannot be stored is left out, and logged.
        """
        return self.marks.add_checkpoint(f"{self.turn}.{self.call_id}", name, data)

    def pin_result(self) -> None:
        """Keeps the result of this call in the model's context, also when older results are cleared or summarized."""
        self.marks.pinned = True

    def _report(self, progress: CallProgress) -> None:
        if self.channel is not None:
            self.channel.report(progress)


current_call: ContextVar[ToolContext | None] = ContextVar("current_call", default=None)
"""The context of the async tool that calls; `None` means that no tool does."""


def _plain(budget: Budget | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    try:
        return plain_budget(checked_budget(budget))
    except ValueError as error:  # also pydantic's
        raise UsageError(f"budget={budget!r:.80} is not accepted: {error}") from None
