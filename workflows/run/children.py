"""Child runs: calls by which an agent asks another one, performed as runs of their own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.attachments import Attachment
    from holdfast.bounds import shortened
    from holdfast.budgets import Budget
    from holdfast.children import MAX_DEPTH, ChildReport, ChildRun, EarlierChild, FoundChild, ReportRequest
    from holdfast.commands import RUN_SENDER
    from holdfast.definition import split_version
    from holdfast.errors import ErrorType
    from holdfast.types import AgentSpec, RunError, RunId, RunStatus, ToolCall, ToolResult, ToolSpec
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import SUMMARY_CHARS, call_activity, raise_cancel
    from holdfast.workflows.run.budget import Shortage
    from holdfast.workflows.run.child_end import answer_of, end_of, used_by
    from holdfast.workflows.run.child_order import ChildOrder, name_of, question_of
    from holdfast.workflows.run.child_start import Handle, child_request, start_child
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.run_budget import RunBudget, not_called
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.tree import wait_for, wait_id
    from holdfast.workflows.signals import tell
    from holdfast.workspace_states import WorkspaceSnapshot

ATTEMPTS = 20
"""Ids that are tried for one child; each reset of its parent to before its start uses up one."""
STOP_TIMEOUT = timedelta(seconds=30)
"""How long a run waits for a child that it has cancelled. A child that runs ends within seconds."""

T = TypeVar("T")


class Children:
    """Starts child runs, follows them, and passes on what happens to this run.

    Args:
        state: the run.
        gate: says when the run is to continue as new.
    """

    def __init__(self, state: RunState, gate: Gate) -> None:
        self._state = state
        self._tree = state.tree
        self._gate = gate
        self._budget = RunBudget(state)
        self._asked: set[str] = set()
        """Ids of the calls of this turn that have been begun."""
        self._handles: dict[str, Handle] = {}
        """Of the children that this execution has started."""
        self._cascade: asyncio.Task[None] | None = None
        if any(self._tree.open()):
            self._begin_cascade()

    async def ask(self, place: int, call: ToolCall, tool: ToolSpec) -> ToolResult | None:
        """Asks an agent and returns its answer; `None` means that the run continues as new or pauses before it.

        Args:
            place: the place of the call among those of its turn.
            call: the call.
            tool: what it calls.

        Raises:
            CancelledError: the turn was stopped before the agent was asked.
        """
        child = self._tree.asked_by(self._state.turns, call.id)
        if child is None:
            if not await self._gate.is_open():
                return None
            order = self._order(place, call, tool)
            if isinstance(order, str):
                return ToolResult(error=order)
            started, is_stopped = await to_its_end(self.begin(order))
            if isinstance(started, ToolResult):
                return started
            child = started
            if is_stopped:
                await self._stop_or_pause(child)
        if not child.status.is_final:
            await self._follow(child)
        if not child.status.is_final:
            return None
        child.taken = True
        return self._answer(child)

    def _order(self, place: int, call: ToolCall, tool: ToolSpec) -> ChildOrder | str:
        """Returns what a call asks, or why no agent is asked, in words for the model."""
        if (text := question_of(call)) is None:
            return 'the arguments must be a JSON object such as {"input": "what you want to know"}'
        if self._state.request.depth >= MAX_DEPTH:
            return (
                f"no agent was asked: this run is {MAX_DEPTH} runs below the first one, which is the limit; "
                "answer with what you know"
            )
        agent = next((each for each in self._state.spec.agents if name_of(each) == tool.agent), None)
        if agent is None:
            return f"the agent {tool.agent!r} cannot be asked by this one"
        return ChildOrder(call.id, str(place), agent, text, self._shares(call))

    def is_waiting(self, call: ToolCall) -> bool:
        """Whether a call of this turn has asked a child that waits itself."""
        child = self._tree.asked_by(self._state.turns, call.id)
        return child is not None and child.status in (RunStatus.WAITING, RunStatus.PAUSED)

    def answer(self, call: ToolCall) -> ToolResult | None:
        """Returns the answer of a child that has ended; `None` if the call has asked none."""
        child = self._tree.asked_by(self._state.turns, call.id)
        return self._answer(child) if child is not None and child.status.is_final else None

    def report(self, report: ChildReport) -> None:
        """Takes note of what a child reports."""
        state, wait = self._state, wait_id(report.run)
        child = None if state.status.is_final else self._tree.take(report)
        if child is None:
            return
        if child.status.is_final and state.plan.budget is not None:
            self._budget.child_ended(child.run, used_by(report))
        if wait in state.open_waits:
            state.end_wait(workflow_time.now(), wait, "continued" if not child.status.is_final else child.status.value)
        if child.status in (RunStatus.WAITING, RunStatus.PAUSED):
            state.begin_wait(workflow_time.now(), wait_for(child, report))

    def _answer(self, child: ChildRun) -> ToolResult:
        result = answer_of(child)
        if snapshots := self.snapshots_of(child):
            result.snapshots = snapshots
        return result

    def snapshots_of(self, child: ChildRun) -> list[WorkspaceSnapshot]:
        """Returns the states in which a child has left the workspace, as of the last time that this run went back."""
        restored = self._state.workspace.restored
        return [each.model_copy(update={"restored": restored}) for each in child.snapshots]

    async def hand_over(self) -> None:
        """Makes the open children report their end by a signal, so that the run can continue as new."""
        for child in list(self._tree.open()):
            if child.reports:
                continue
            child.reports = await tell(child.run, names.SIGNAL_REPORT)
            if not child.reports:  # it has ended, and Temporal tells how
                await self._end(child)

    async def stop_all(self) -> None:
        """Cancels the open children and waits for their end."""
        if children := list(self._tree.open()):
            await asyncio.gather(*(self.stop(child) for child in children))
        if self._cascade is not None:
            self._cascade.cancel()

    async def _follow(self, child: ChildRun) -> None:
        """Waits until a child has ended, or the run continues as new or pauses.

        If the turn is stopped, the child is cancelled.
        """
        try:
            await workflow.wait_condition(lambda: child.status.is_final or self._gate.is_continuing())
        except asyncio.CancelledError:
            await to_its_end(self._stop_or_pause(child))

    async def _stop_or_pause(self, child: ChildRun) -> None:
        """Cancels a child whose call was stopped; if the run is only paused, the child is paused too."""
        state = self._state
        if state.paused and not state.interrupted and not state.is_stopping:
            child.paused = True
            await tell(child.run, "pause", {"now": True, "by": self._sender})
        else:
            await self.stop(child)

    async def begin(self, order: ChildOrder) -> ChildRun | ToolResult:
        """Starts a child, or returns why it cannot be started."""
        state, agent = self._state, order.agent
        for attempt in range(1, ATTEMPTS + 1):
            run = names.child_id(state.run_id, state.turns, order.place, attempt)
            if run in self._tree:
                continue
            part = self._set_aside(run, order)
            if isinstance(part, Shortage):
                return not_called(part)
            try:
                handle = await start_child(state, run, child_request(state, order, part))
            except WorkflowAlreadyStartedError:  # by an execution before a reset
                if earlier := await self._earlier(run, order):
                    return earlier
                self._budget.give_back(run)
                await self._cancel(run)
                continue
            except FailureError as error:
                self._budget.give_back(run)
                return ToolResult(error=f"the agent {name_of(agent)!r} could not be asked: {error.message}")
            self._handles[run] = handle
            handle.add_done_callback(functools.partial(self._take_end, run))
            return self._add(run, order)
        return ToolResult(error=f"the agent {name_of(agent)!r} could not be asked: its run could not be named")

    def _add(self, run: RunId, order: ChildOrder) -> ChildRun:
        child = ChildRun(
            run=run,
            agent=split_version(name_of(order.agent))[0],
            call=order.call,
            turn=self._state.turns,
            started_at=workflow_time.now(),
        )
        self._tree.add(child)
        self._begin_cascade()
        return child

    async def _earlier(self, run: RunId, order: ChildOrder) -> ChildRun | None:
        """Returns a child that was asked the same before a reset, so that it is not asked twice; `None` if it was not.

        One that is open reports what it does, and its end.
        """
        agent = split_version(name_of(order.agent))[0]
        wanted = EarlierChild(run=run, parent=self._state.run_id, agent=agent, input=order.text)
        if attached := order.options.get("attachments"):
            wanted.attachments = [Attachment.model_validate(each) for each in attached]
        summary = shortened(f"what {run} has answered", SUMMARY_CHARS)
        while True:
            try:
                found = await call_activity(names.CHILD_FIND, wanted, FoundChild, summary=summary, **options.CHILD_FIND)
            except ActivityError:
                return None
            if found.report is None:
                return None
            child = self._add(run, order)
            if found.report.status.is_final:
                self.report(found.report)
                return child
            child.reports = await tell(child.run, names.SIGNAL_REPORT, ReportRequest(again=True))
            if child.reports:
                return child
            self._tree.discard(child)  # it has ended meanwhile

    def _shares(self, call: ToolCall) -> int:
        """Returns for how many children the budget is divided that start now."""
        state = self._state
        self._asked = (self._asked - {call.id}) & {each.id for each in state.pending_calls}
        asking = {tool.name for tool in state.spec.tools if tool.operation == names.ASK_AGENT}
        waiting = [each for each in state.pending_calls if each.name in asking and each.id not in self._asked]
        self._asked.add(call.id)
        return len(waiting) + 1

    def _set_aside(self, run: RunId, order: ChildOrder) -> Budget | Shortage | None:
        """Sets a part of the budget aside for a child: equal parts for those that start now, and one for this run."""
        if self._state.plan.budget is None:
            return None
        wanted = order.agent.budget if isinstance(order.agent, AgentSpec) else None
        return self._budget.set_aside(run, shares=order.shares, wanted=wanted)

    def _take_end(self, run: RunId, _done: object) -> None:
        self.report(end_of(run, self._handles[run]))

    async def stop(self, child: ChildRun) -> None:
        """Cancels a child and waits for its end."""
        handle = self._handles.get(child.run)
        if handle is not None:
            handle.cancel()
        else:
            await self._cancel(child.run)
        try:
            await self._end(child, STOP_TIMEOUT)
        except TimeoutError:
            message = f"it was cancelled, and had not ended {STOP_TIMEOUT.total_seconds():g} s later"
            error = RunError(type=ErrorType.CANCELLED, message=message)
            self.report(ChildReport(run=child.run, status=RunStatus.CANCELLED, error=error))

    async def _end(self, child: ChildRun, timeout: timedelta | None = None) -> None:
        await workflow.wait_condition(
            lambda: child.status.is_final,
            timeout=timeout,
            timeout_summary=shortened(f"the end of {child.run}", SUMMARY_CHARS),
        )

    async def _cancel(self, run: str) -> None:
        try:
            await workflow.get_external_workflow_handle(run).cancel()
        except FailureError as error:
            raise_cancel(error)

    def _begin_cascade(self) -> None:
        if self._cascade is None:
            self._cascade = asyncio.create_task(self._pass_on_pauses())

    async def _pass_on_pauses(self) -> None:
        """Pauses and resumes the children with this run."""
        state = self._state
        while True:
            await workflow.wait_condition(lambda: any(child.paused != state.paused for child in self._tree.open()))
            for child in [child for child in self._tree.open() if child.paused != state.paused]:
                child.paused = state.paused
                if (child.status == RunStatus.PAUSED) != child.paused:
                    await tell(child.run, "pause" if child.paused else "resume", {"by": self._sender})

    @property
    def _sender(self) -> str:
        return f"{RUN_SENDER}{self._state.run_id}"


async def to_its_end(work: Coroutine[Any, Any, T]) -> tuple[T, bool]:
    """Does something to its end, and returns its result, and whether the caller was cancelled meanwhile."""
    task, is_cancelled = asyncio.create_task(work), False
    while not task.done():
        try:
            await workflow.wait([task])
        except asyncio.CancelledError:
            is_cancelled = True
    return task.result(), is_cancelled
