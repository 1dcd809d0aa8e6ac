"""The context of a function `run_task`: what it can do, and the recorded steps, which are not made again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, JsonValue
from pydantic_core import to_jsonable_python

from holdfast._util.logger import get_logger
from holdfast.agents.tool import Tool, ToolError
from holdfast.agents.typed_results import typed
from holdfast.agents.user_functions import RunContext
from holdfast.definition import ask_tool_name
from holdfast.types import Message, ToolCall, ToolResult

log = get_logger(__name__)

MARK_TOOL = "record_marks"
"""The tool that records stages and checkpoints; a turn that only asks the model calls it as well, to continue."""
ERROR = "error: "
"""Start of the result of a call that failed."""


class TaskChanged(RuntimeError):
    """A function `run_task` has made another step than the run has recorded."""


class Mark(BaseModel):
    """A stage that was entered, or a checkpoint."""

    stage: str | None = None
    progress: float | None = None
    checkpoint: str | None = None
    data: JsonValue = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The steps of a task that the run has recorded, by the ids of their calls."""

    task: str
    calls: Mapping[str, ToolCall]
    results: Mapping[str, str]
    replies: Mapping[str, str]
    """The text of the model beside a call."""

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Recorded:
        """Reads the messages since the last answer."""
        answers = [
            place
            for place, message in enumerate(messages)
            if message.role == "assistant" and not message.tool_calls and not message.partial
        ]
        since = messages[answers[-1] + 1 if answers else 0 :]
        task = next((message.content for message in since if message.role == "user"), "")
        asked = [(call, message.content) for message in since for call in message.tool_calls]
        answers_of = [message for message in since if message.role == "tool"]
        return cls(
            task,
            {call.id: call for call, _ in asked},
            {message.tool_call_id or "": message.content for message in answers_of},
            {call.id: text for call, text in asked},
        )


@dataclass
class Branch:
    """A task of the event loop that makes steps: their ids do not depend on what other branches do meanwhile."""

    path: str
    task: asyncio.Task[Any] | None
    steps: int = 0
    children: int = 0


_branch: ContextVar[Branch] = ContextVar("branch")


def _next_id() -> str:
    """Returns the id of the next step of the current branch; a new task, as of a `gather`, is a branch of its own."""
    branch, task = _branch.get(), asyncio.current_task()
    if branch.task is not task:
        branch.children += 1
        branch = Branch(f"{branch.path}{branch.steps}.{branch.children}/", task)
        _branch.set(branch)
    branch.steps += 1
    return f"step-{branch.path}{branch.steps}"


@dataclass(frozen=True, slots=True)
class ModelStep:
    """A question to the model that has no answer yet."""

    id: str
    prompt: str
    system_prompt: str | None


@dataclass
class Needs:
    """What a task cannot continue without."""

    calls: list[ToolCall] = field(default_factory=list)
    model: ModelStep | None = None
    marks: list[Mark] = field(default_factory=list)
    """Those that were made since the last step."""
    some: asyncio.Event = field(default_factory=asyncio.Event)


class TaskContext:
    """The context of `run_task`: its steps are durable, each is made once and its result recorded.

    After a crash, and after each step, the function is called again from its beginning, and the steps that are recorded
    return their results at once. So it must make the same steps whenever they have the same results: whatever else it
    reads, as the time or a file, belongs into a tool.
    """

    def __init__(self, run: RunContext, tools: Mapping[str, Tool], recorded: Recorded) -> None:
        self.run = run
        self.task = recorded.task
        self.needs = Needs()
        self._tools = tools
        self._recorded = recorded

    @property
    def run_id(self) -> str:
        """The run."""
        return self.run.run_id

    async def call(self, tool: Tool | str, /, **arguments: Any) -> Any:
        """Calls a tool of the agent, and returns what its function returned, of its type.

        `asyncio.gather` makes several calls at the same time.

        Args:
            tool: the tool, or its name.
            arguments: JSON values, dataclasses or models.

        Raises:
            ToolError: the call failed, or was not made; the message says why.
        """
        name = tool.spec.name if isinstance(tool, Tool) else tool
        found = self._tools.get(name)
        text = json.dumps(to_jsonable_python(arguments), ensure_ascii=False)
        content = await self._result(name, text)
        return typed(ToolResult(content=content), found.function if found else None)

    async def ask(self, agent: object, question: str) -> str:
        """Asks an agent of `agents=[...]`, in a run of its own, and returns its answer.

        Args:
            agent: the agent, or its name.
            question: everything that it needs to know.

        Raises:
            ToolError: there is no answer; the message says why.
        """
        name = agent if isinstance(agent, str) else str(getattr(agent, "name", agent))
        return await self._result(ask_tool_name(name), json.dumps({"input": question}, ensure_ascii=False))

    async def model(self, prompt: str, *, system_prompt: str | None = None) -> str:
        """Asks the agent's model one question, and returns its answer.

        Args:
            prompt: the question; the model sees nothing else of the run.
            system_prompt: `None` means that of the agent.
        """
        for given in (prompt, system_prompt or ""):
            if not isinstance(given, str):
                raise TypeError(f"a prompt must be text, not {given!r:.80}")
        step_id = _next_id()
        if step_id not in self._recorded.results:
            if self.needs.model is None:
                self.needs.model = ModelStep(step_id, prompt, system_prompt)
            await self._never()
        self._check(step_id, MARK_TOOL, None)
        self.needs.marks.clear()
        return self._recorded.replies[step_id]

    def stage(self, name: str, progress: float | None = None) -> None:
        """Enters a stage, see `ToolContext.stage`; it is recorded with the next step, or at the end."""
        known = float(progress) if isinstance(progress, int | float) else None
        self.needs.marks.append(Mark(stage=str(name), progress=known))

    def create_checkpoint(self, name: str, data: Any = None) -> None:
        """Makes a checkpoint, recorded with the next step, or at the end; never raises.

        Args:
            name: by which people can restore it.
            data: JSON values, dataclasses or models of up to 64 KB. What cannot be stored is left out, and logged.
        """
        try:
            plain = to_jsonable_python(data)
        except Exception as error:  # noqa: BLE001 - a value of the task may raise anything
            log.warning("the data of a checkpoint is left out", checkpoint=str(name), reason=repr(error))
            plain = None
        self.needs.marks.append(Mark(checkpoint=str(name), data=plain))

    def begin(self) -> None:
        """Makes the current task of the event loop the one whose steps come first."""
        _branch.set(Branch("", asyncio.current_task()))

    def is_recorded(self, step_id: str) -> bool:
        """Whether a step has a result."""
        return step_id in self._recorded.results

    async def _result(self, tool: str, arguments: str) -> str:
        step_id = _next_id()
        if step_id not in self._recorded.results:
            self.needs.calls.append(ToolCall(id=step_id, name=tool, arguments=arguments))
            await self._never()
        self._check(step_id, tool, arguments)
        self.needs.marks.clear()
        result = self._recorded.results[step_id]
        if result.startswith(ERROR):
            raise ToolError(result.removeprefix(ERROR))
        return result

    async def _never(self) -> None:
        """Waits for the end of this attempt: the run makes the step, and calls the function again."""
        self.needs.some.set()
        await asyncio.Event().wait()

    def _check(self, step_id: str, tool: str, arguments: str | None) -> None:
        made = self._recorded.calls[step_id]
        same = arguments is None or made.edited_by is not None or json.loads(made.arguments) == json.loads(arguments)
        if made.name != tool or not same:
            now = "a question to the model" if arguments is None else f"{tool}({arguments:.200})"
            raise TaskChanged(
                f"{step_id} was {made.name}({made.arguments:.200}) when it was made, and is now {now}; run_task must "
                "make the same steps when it is called again. Put what may change, as the time, into a tool"
            )
