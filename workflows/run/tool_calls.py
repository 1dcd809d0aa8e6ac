"""Concurrent tool calls of a turn. A failed call is data for the model and does not fail the run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.elicitation import Elicitation
    from holdfast.invocations import CallClaim, Resolution, ToolInvocation
    from holdfast.types import ToolCall, ToolResult, ToolSpec
    from holdfast.workflows import options
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.run.call_waits import CallWaits
    from holdfast.workflows.run.children import Children, to_its_end
    from holdfast.workflows.run.claimed_calls import call_once, continue_call
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.handoffs import ONLY_ONE, handed_off
    from holdfast.workflows.run.invocations import invocation_of, shown_call
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.tool_children import ToolChildren
    from holdfast.workflows.run.turn import describe_call, refuse_call, too_many_calls, tools_by_name
    from holdfast.workflows.run.view import View
    from holdfast.workflows.run.waits import Waits

Started = tuple[ToolCall, "asyncio.Task[ToolResult | None]"]

STOPPED = "the turn was stopped before this call was made"
SHOWN_CALLS = 5  # of the calls that are running


@dataclass(frozen=True)
class AdmittedCall:
    """A call that may be made, and what people have said about it."""

    place: int
    """The number of calls before it in this turn."""
    call: ToolCall
    tool: ToolSpec
    resolution: Resolution | None = None
    """What a person said about its unknown outcome."""
    answers: Elicitation | None = None
    """To what an MCP server has asked."""


class ToolCaller:
    """Calls tools; each tool is an activity type of its own."""

    def __init__(
        self,
        state: RunState,
        view: View,
        gate: Gate,
        *,
        children: Children,
        tool_children: ToolChildren,
        waits: CallWaits,
    ) -> None:
        self._state = state
        self._view = view
        self._gate = gate
        self._children = children
        self._tool_children = tool_children
        self._lost = waits.lost
        self._call_waits = waits
        self._process = waits.process
        self._tools: dict[str, ToolSpec] = {}
        """Those of the agent that acts."""
        self._slots = asyncio.Semaphore(options.MAX_PARALLEL_TOOLS)
        self._waits = Waits(state, view)

    async def call_all(self, calls: list[ToolCall]) -> AsyncIterator[tuple[ToolCall, ToolResult]]:
        """Makes the calls and yields each with its result, in the order of the calls.

        They are made side by side, or one by one if the agent says so.

        Readers of a transcript expect this order. Only calls that wait for a person, a time or an event are overtaken,
        as that may take weeks. A cancel cancels the calls in flight and still yields their results. Calls that were not
        begun, as the run is to continue as new, are not yielded.

        Args:
            calls: the calls of the turn without a result.
        """
        self._tools = tools_by_name(self._state.spec)
        running = dict(zip(self._state.pending_places, calls, strict=False))  # a budget may allow only the first ones
        self._show(running)

        async def run(place: int, call: ToolCall, before: asyncio.Task[ToolResult | None] | None) -> ToolResult | None:
            try:
                return await self._call_after(before, place, call)
            finally:
                del running[place]
                self._show(running)

        left: list[Started] = []
        for place, call in running.items():
            before = left[-1][1] if left and self._is_one_by_one else None
            left.append((call, asyncio.create_task(run(place, call, before))))
        while left:
            call, task = await self._next_ended(left)
            left.remove((call, task))
            if (result := task.result()) is not None:
                yield call, result

    @property
    def _is_one_by_one(self) -> bool:
        """Whether a call begins when the one before it has ended, also if the model asks for several at once."""
        return self._state.spec.model_settings.get("parallel_tool_calls") is False

    async def _call_after(
        self, before: asyncio.Task[ToolResult | None] | None, place: int, call: ToolCall
    ) -> ToolResult | None:
        """Makes a call once another one has ended; returns `None` if that was not begun."""
        try:
            if before is not None:
                await workflow.wait([before])
        except asyncio.CancelledError:
            return None if self._state.keeps_waits else ToolResult(error=STOPPED)
        if before is not None and before.result() is None:
            return None
        return await self._call(place, call)

    async def _next_ended(self, left: list[Started]) -> Started:
        """Waits for the first call that is not waiting for a person, a time or an event; a cancel cancels all."""
        while (found := self._ended(left)) is None:
            try:
                await workflow.wait_condition(lambda: self._ended(left) is not None)
            except asyncio.CancelledError:
                for _, task in left:
                    task.cancel()
        return found

    def _ended(self, left: list[Started]) -> Started | None:
        for call, task in left:
            if task.done():
                return call, task
            if not (self._state.is_waiting(call) or self._children.is_waiting(call)):
                return None
        return None

    def _show(self, running: dict[int, ToolCall]) -> None:
        if running:
            shown = ", ".join(describe_call(call) for call in list(running.values())[:SHOWN_CALLS])
            more = f" and {len(running) - SHOWN_CALLS} more" if len(running) > SHOWN_CALLS else ""
            self._view.show_activity(f"turn {self._state.turns}: {shown}{more}")

    async def _call(self, place: int, call: ToolCall) -> ToolResult | None:
        """Returns the result of a call; `None` if it was not begun.

        Args:
            place: the number of calls before it in this turn.
            call: the call.
        """
        refusal = refuse_call(call, self._tools)
        if refusal is None and place >= self._state.plan.max_tool_calls:
            refusal = too_many_calls(self._state.plan.max_tool_calls)
        if refusal is not None:
            return ToolResult(error=refusal)
        tool = self._tools[call.name]
        try:
            result = await self._admitted(place, call, tool)
        except asyncio.CancelledError:
            if self._state.keeps_waits:
                return None
            result = ToolResult(error=STOPPED)
        if result is not None and tool.operation is None:
            await to_its_end(self._tool_children.end(call, result))
        return result

    async def _admitted(self, place: int, asked: ToolCall, tool: ToolSpec) -> ToolResult | None:
        """Makes a call if it needs no approval or has it; `None` means that it was not begun."""
        if tool.operation == names.HAND_OFF and (refused := await self._others_end(place)) is not None:
            return refused
        call = await self._call_waits.approvals.admit(asked, tool)
        if not isinstance(call, ToolCall):
            return call
        if tool.operation == names.HAND_OFF:
            done = self._state.handoffs
            return handed_off(tool, self._state.plan.spec, done) if await self._ends_turn() else None
        if tool.operation is not None and tool.operation != names.ASK_AGENT:
            is_open = self._state.is_waiting(call) or await self._gate.is_open()
            return await self._call_waits.operations.perform(call, tool) if is_open else None
        return await self._known(AdmittedCall(place, call, tool))

    async def _others_end(self, place: int) -> ToolResult | None:
        """Waits for the other calls of the turn to have results; returns why the handoff is not made, if so."""
        state = self._state
        if place != state.pending_places[-1]:
            chosen = self._tools[state.pending_calls[-1].name]
            return ToolResult(error=ONLY_ONE.format(agent=chosen.agent))
        await workflow.wait_condition(lambda: len(state.pending_calls) == 1 or self._gate.is_continuing())
        return None

    async def _ends_turn(self) -> bool:
        """Whether a handoff may take effect: every other call of the turn has its result."""
        return await self._gate.is_open() and len(self._state.pending_calls) == 1

    async def _known(self, admitted: AdmittedCall) -> ToolResult | None:
        """Makes a call, and asks a person if its outcome is unknown and the tool says so."""
        call, tool = admitted.call, admitted.tool
        result: ToolResult | None = ToolResult(outcome="unknown")
        if not self._lost.is_asked(call):
            result = await self._answered(admitted)
        while result is not None and result.outcome == "unknown" and tool.on_unknown == "ask":
            resolution = await self._lost.resolution(call, tool)
            if not isinstance(resolution, Resolution):
                return resolution
            result = await self._answered(replace(admitted, resolution=resolution))
            if result is not None:
                self._lost.forget(call)
        return result

    async def _answered(self, admitted: AdmittedCall) -> ToolResult | None:
        """Makes a call, and has people answer what an MCP server asks before it has a result."""
        call, resolution = admitted.call, admitted.resolution
        elicitations = self._call_waits.elicitations
        asked = elicitations.pending(call)
        result = ToolResult(elicitation=asked) if asked else await self._made(admitted)
        while result is not None and result.elicitation is not None:
            if resolution is not None and resolution.happened:  # the ledger knows only the question
                return ToolResult(content=resolution.result or "done", outcome="resolved")
            asked = result.elicitation.model_copy(update={"repeatable": admitted.tool.repeatable})
            answers = await elicitations.answered(call, asked)
            if not isinstance(answers, Elicitation):
                return answers
            result = await self._made(replace(admitted, answers=answers))
            if result is not None:
                elicitations.forget(call)
        return result

    async def _made(self, admitted: AdmittedCall) -> ToolResult | None:
        """Makes a call, or acts on what a person said of it or has answered; `None` means that it was not begun."""
        tool = admitted.tool
        try:
            if tool.operation == names.ASK_AGENT:
                return await self._children.ask(admitted.place, admitted.call, tool)
            return await self._waits.until_served(
                f"a worker that serves tool {tool.name!r} of agent {self._state.spec.name!r}",
                lambda: self._process.served(lambda again: self._in_slot(admitted, again=again)),
                pauses=self._gate.is_continuing,
            )
        except ActivityError as error:
            return ToolResult(error=explain(error, tool))
        except ApplicationError as error:
            return ToolResult(error=error.message)

    async def _in_slot(self, admitted: AdmittedCall, *, again: bool) -> ToolResult | None:
        async with self._slots:
            if not await self._gate.is_open():
                return None
            with self._state.calling():
                return await self._execute(admitted, again=again)

    async def _execute(self, admitted: AdmittedCall, *, again: bool) -> ToolResult:
        state, call, tool = self._state, admitted.call, admitted.tool
        resolution = admitted.resolution
        invocation = invocation_of(state, call)

        async def invoke(invocation: ToolInvocation, how: options.ActivityOptions) -> ToolResult:
            how = options.ActivityOptions(**how, **self._process.limits(how.get("task_queue")))
            return await call_activity(tool.activity, invocation, ToolResult, summary=shown_call(state, call), **how)

        if admitted.answers is not None:
            invocation.elicitation = admitted.answers
            return await continue_call(tool, invocation, invoke)
        if tool.repeatable:
            return await invoke(invocation, options.tool_call(tool))
        if tool.claims and state.plan.ledger:
            invocation.claim = CallClaim(chain=state.chain, message=state.asked, index=admitted.place)
            if resolution is not None:
                invocation.claim.resolution = resolution
            if again:
                invocation.claim.again = True
        elif resolution is not None and resolution.happened:
            return ToolResult(content=resolution.result or "done", outcome="resolved")
        return await call_once(tool, invocation, invoke)


def explain(error: ActivityError, tool: ToolSpec) -> str:
    """Returns why a call has no result, in words that the model can act on."""
    cause = error.cause
    if isinstance(cause, CancelledError):
        return "the run was stopped while this tool ran"
    if isinstance(cause, TemporalTimeoutError):
        if cause.type == TimeoutType.HEARTBEAT:
            times = options.tool_attempts(tool)
            return f"the worker was lost or did not respond while this tool ran, {times} times in a row"
        return f"the tool did not end within {tool.timeout:g} s"
    if isinstance(cause, ApplicationError):
        return cause.message
    return str(cause or error)
