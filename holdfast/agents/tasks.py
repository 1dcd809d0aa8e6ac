"""Agents whose run is a function of yours: `run_task` decides what is done, and each of its steps is durable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_core import to_json

from holdfast._util.logger import get_logger
from holdfast._util.raised import raised
from holdfast.agents.agent import Agent
from holdfast.agents.task_context import MARK_TOOL, Mark, ModelStep, Recorded, TaskContext
from holdfast.agents.tool import Tool, ToolContext, tool
from holdfast.agents.wrappers import ModelRequest
from holdfast.errors import AgentDefinitionError, ModelRefused
from holdfast.model_reply import ModelReply
from holdfast.types import Message, ToolCall

log = get_logger(__name__)

SETTLE = 10  # turns of the event loop in which the siblings of a `gather` register their calls
AT_ONCE = 20  # calls of one turn, fewer than any sensible MAX_TOOL_CALLS_PER_TURN; the others are made in the next
STOP_TIMEOUT = 5.0  # seconds that a function may take to clean up when its attempt ends
MAX_TURNS = 1_000  # of a run: each step, or each group of steps at the same time, is one
WINDOW = 1_000_000_000  # tokens: the model never sees the transcript, which must not be compacted

Handler = Callable[[ModelRequest], Awaitable[ModelReply]]


class TaskAgent(Agent):
    """An agent whose run is your own `run_task`, instead of a conversation of a model with tools."""

    max_turns = MAX_TURNS
    context_window = WINDOW

    def __init__(self, **options: Any) -> None:
        run_task = type(self).run_task
        if run_task is TaskAgent.run_task or not asyncio.iscoroutinefunction(run_task):
            raise AgentDefinitionError(
                f"{type(self).__name__}.run_task must be an `async def run_task(self, task, context)`"
            )
        super().__init__(**options)

    async def run_task(self, task: str, context: TaskContext) -> Any:
        """Does a task, and returns the answer: text, or what becomes JSON.

        Args:
            task: what the run was asked.
            context: makes the durable steps.
        """
        raise NotImplementedError

    @tool(idempotent=True)
    def record_marks(self, marks: list[Mark], *, context: ToolContext) -> None:
        """Record stages and checkpoints of the task.

        Args:
            marks: In their order.
            context: Context of the call.
        """
        for mark in marks:
            if mark.stage is not None:
                context.stage(mark.stage, mark.progress)
            if mark.checkpoint is not None:
                context.create_checkpoint(mark.checkpoint, mark.data)

    async def wrap_model_call(self, request: ModelRequest, handler: Handler) -> ModelReply:
        """Calls `run_task` instead of the model, up to its next step."""
        tools = {each.spec.name: each for each in self.tools if isinstance(each, Tool)}
        context = TaskContext(request.context, tools, Recorded.of(request.messages))
        try:
            answer = await self._advance(context)
            text = answer if isinstance(answer, str) else to_json(answer).decode()
        except Exception as error:
            log.warning("run_task failed", agent=self.name, run_id=context.run_id, exc_info=error)
            raise ModelRefused(f"run_task of agent {self.name!r} failed: {raised(error)}") from error
        needs, base = context.needs, request.reply("")
        first = needs.calls[0].id if needs.calls else needs.model.id if needs.model else "end"
        marks_id = f"marks-{first.removeprefix('step-')}"
        marks = [_mark_call(marks_id, needs.marks)] if needs.marks and not context.is_recorded(marks_id) else []
        if marks or needs.calls:
            return _calling(base, [*marks, *needs.calls[:AT_ONCE]])
        if needs.model is not None:
            reply = await handler(_question(request, needs.model))
            return reply if reply.partial else _calling(_whole(reply), [_mark_call(needs.model.id, [])])
        return base.model_copy(update={"content": text})

    async def _advance(self, context: TaskContext) -> Any:
        """Calls `run_task` until it returns, or needs a step; returns what it has returned."""

        async def run() -> Any:
            context.begin()
            return await self.run_task(context.task, context)

        running = asyncio.create_task(run())
        needed = asyncio.create_task(context.needs.some.wait())
        try:
            await asyncio.wait({running, needed}, return_when=asyncio.FIRST_COMPLETED)
            for _ in range(SETTLE):
                await asyncio.sleep(0)
            if running.done():
                answer = running.result()
                context.needs.calls.clear()
                context.needs.model = None
                return answer
        finally:
            needed.cancel()
            running.cancel()
            await asyncio.wait({running, needed}, timeout=STOP_TIMEOUT)
        return None


def _question(request: ModelRequest, step: ModelStep) -> ModelRequest:
    system = request.system_prompt if step.system_prompt is None else step.system_prompt
    messages = [Message(seq=0, role="system", content=system), Message(seq=1, role="user", content=step.prompt)]
    return request.replace(messages=messages, tools=())


def _whole(reply: ModelReply) -> ModelReply:
    """Returns a reply of the model that is complete.

    Raises:
        RuntimeError: it was cut off.
    """
    if reply.finish_reason != "stop":
        raise RuntimeError(f"the answer of the model is not complete (finish reason {reply.finish_reason!r})")
    return reply


def _calling(reply: ModelReply, calls: list[ToolCall]) -> ModelReply:
    return reply.model_copy(update={"tool_calls": calls, "finish_reason": "tool_calls"})


def _mark_call(step_id: str, marks: list[Mark]) -> ToolCall:
    given = [mark.model_dump(mode="json", exclude_none=True) for mark in marks]
    return ToolCall(id=step_id, name=MARK_TOOL, arguments=json.dumps({"marks": given}, ensure_ascii=False))
