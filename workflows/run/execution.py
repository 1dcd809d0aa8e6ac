"""One execution of a run: takes turns until the run ends, is stopped, or continues in a new history."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from holdfast.commands import Compact
    from holdfast.errors import ErrorType
    from holdfast.forking import Prefix
    from holdfast.progress import RunProgress
    from holdfast.protocol import Plan, RunRequest
    from holdfast.types import RunError, RunResult, RunStatus, ToolCall, ToolResult
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import must_retry, unexpected
    from holdfast.workflows.catch_up import leave_to_catch_up
    from holdfast.workflows.run.answer import AnswerCheck
    from holdfast.workflows.run.attachments import store_queued
    from holdfast.workflows.run.budget import Shortage
    from holdfast.workflows.run.budget_wait import BudgetWait, next_day
    from holdfast.workflows.run.call_waits import CallWaits
    from holdfast.workflows.run.carry import carried_state, resumed
    from holdfast.workflows.run.check_calls import CheckCalls
    from holdfast.workflows.run.children import Children
    from holdfast.workflows.run.commands import Commands
    from holdfast.workflows.run.compacting import CompactingCaller, ContextFull
    from holdfast.workflows.run.context_commands import context_handlers
    from holdfast.workflows.run.continuation import Continuation
    from holdfast.workflows.run.control import Control
    from holdfast.workflows.run.forked import fork_of
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.guarding import InputGuards
    from holdfast.workflows.run.model_calls import ModelCaller, out_of_time, run_error
    from holdfast.workflows.run.next_message import has_next_message
    from holdfast.workflows.run.open_wait import time_until
    from holdfast.workflows.run.outbox import Outbox
    from holdfast.workflows.run.report import progress_of, result_of, summary_of, why_out_of_time
    from holdfast.workflows.run.restoring import Restoring
    from holdfast.workflows.run.run_budget import RunBudget, exceeded, not_called
    from holdfast.workflows.run.stages import Stages
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.step import Step
    from holdfast.workflows.run.tool_calls import ToolCaller
    from holdfast.workflows.run.tool_children import ToolChildren
    from holdfast.workflows.run.turn import CallModel, CallTools, Finish, GiveUp, WaitForMessage, next_step
    from holdfast.workflows.run.view import View


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: RunStatus
    error: RunError | None = None


class Execution:
    """One execution of a run, built from its state, the outbox to the mirror, and the callers of model and tools."""

    def __init__(self, request: RunRequest, plan: Plan, control: Control, prefix: Prefix | None = None) -> None:
        """
        Args:
            request: the run's input.
            plan: what it executes.
            control: takes its commands.
            prefix: the log that a fork begins with; only in its first execution.
        """
        info = workflow.info()
        carried = request.carried
        if carried:
            self.state = resumed(info.workflow_id, request, carried, now=workflow_time.now())
        else:
            # A reset makes another execution, which is still the first one's: its log has the same beginning.
            run_id, now, chain = info.workflow_id, workflow_time.now(), info.first_execution_run_id
            if prefix:
                self.state = fork_of(run_id, request, plan, prefix, now=now, chain=chain)
            else:
                self.state = RunState.begin(
                    run_id, request, plan, started_at=info.workflow_start_time, now=now, chain=chain
                )
        self._outbox = Outbox(
            info.workflow_id,
            self.state.chain,
            self.state.log,
            lambda: summary_of(self.state),
            (carried.acked or carried.head) if carried else None,
        )
        self._view = View(self.state)
        self.stages = Stages(self.state, self._view, self._outbox)
        self._continuation = Continuation(self._outbox)
        self._gate = Gate(self.state, self._continuation.is_near)
        self.children = Children(self.state, self._gate)
        self.tool_children = ToolChildren(self.state, self.children)
        waits = CallWaits(self.state, self._gate)
        self._model = ModelCaller(self.state, self._outbox, self._view, waits.process)
        self._tools = ToolCaller(
            self.state, self._view, self._gate, children=self.children, tool_children=self.tool_children, waits=waits
        )
        self._step = Step()
        self._budget = RunBudget(self.state)
        self._budget_wait = BudgetWait(self.state, self._gate)
        self._day_limit = ""
        """Why the last model call was not made, if a daily budget does not suffice."""
        self._stop: RunStatus | None = None
        self._out_of_time = ""
        self._calls = CompactingCaller(self.state, self._model)
        self._restoring = Restoring(self.state, self._step, self._outbox)
        calls = CheckCalls(self.state, self._view, self._gate, waits.process)
        self._guards, self._answer = InputGuards(self.state, calls), AnswerCheck(self.state, calls)
        commands = Commands(self.state, self._step).handlers() | waits.handlers()
        commands |= context_handlers(self.state, self._restoring)
        control.begin(self.state, commands)

    async def run(self) -> Outcome | None:
        """Takes turns until the run ends; returns `None` if it must continue in a new execution."""
        turns = asyncio.create_task(self._take_turns())
        try:
            await self._supervise(turns)
        except asyncio.CancelledError:
            self._stop = RunStatus.CANCELLED
        if self._stop:
            self.state.is_stopping = True
            self._view.show_activity("stopping")
            turns.cancel()
            await workflow.wait([turns])
        outcome = turns.result()
        return self._stopped() if self._stop and outcome is None else outcome

    async def _supervise(self, turns: asyncio.Task[Outcome | None]) -> None:
        """Tracks the status of the run until its turns end, or its time does."""
        state = self.state
        while not turns.done():
            limit = state.clock.limit
            end = min((end for end in (state.clock.deadline, state.request.expires) if end), default=None)
            try:
                await workflow.wait_condition(
                    lambda: (
                        turns.done()
                        or state.next_status != state.status
                        or state.clock.limit != limit  # noqa: B023
                        or (state.status != RunStatus.RUNNING and self._outbox.has_news)
                        or state.waits_changed
                    ),
                    timeout=time_until(end),
                    timeout_summary="the run's time limit",
                )
            except TimeoutError:
                self._stop = RunStatus.TIMED_OUT
                self._out_of_time = why_out_of_time(self.state, workflow_time.now())
                return
            await asyncio.sleep(0)  # what a command has woken takes its next step first
            if not turns.done():
                state.enter_status(workflow_time.now())
                self._view.update(now=state.waits_changed)
                if state.status != RunStatus.RUNNING or state.waits_changed:
                    self._outbox.send()
                state.waits_changed = False

    async def end(self, outcome: Outcome) -> RunResult:
        """Records the end, and sends it to the mirror now or by a `MirrorCatchUp` workflow."""
        await self.children.stop_all()
        for call in self.state.pending_calls:  # of a run that was paused, so that each call has a result
            result = self.children.answer(call) or ToolResult(error="not called: the run has ended")
            self.state.record_tool_result(workflow_time.now(), call, result, counts=result.run is not None)
        self.state.drop_messages(workflow_time.now(), f"the run has ended ({outcome.status})")
        self._restoring.drop()
        self.state.withdraw_waits(workflow_time.now())
        self.state.end(workflow_time.now(), outcome.status, outcome.error)
        ended = result_of(self.state)
        self.state.finish(workflow_time.now(), ended)
        self._view.update(final=True)
        if not await self._outbox.finish(options.FLUSH_TIMEOUT):
            await leave_to_catch_up(self.state.run_id)
        return ended

    def next_request(self) -> RunRequest:
        """Returns the request that the next execution starts with."""
        self._budget.fold()
        carried = carried_state(self.state, workflow_time.now(), workflow.info().run_id, acked=self._outbox.acked)
        name = self.state.plan.spec.name  # the plan has the definition
        return self.state.request.model_copy(update={"agent": name, "carried": carried, "history": []})

    def progress(self) -> RunProgress:
        """Returns the progress of the run."""
        return progress_of(self.state, self._outbox.acked_seq)

    async def _take_turns(self) -> Outcome | None:
        try:
            if self.state.plan.queued and not self.state.own_turns:
                await self._model.take_slot()
            return await self._take_each_turn()
        except ActivityError as error:
            if not self._stop:
                return Outcome(RunStatus.TIMED_OUT if out_of_time(error) else RunStatus.FAILED, run_error(error))
        except ContextFull as error:
            return Outcome(RunStatus.FAILED, error.reason)
        except asyncio.CancelledError:
            pass  # between two calls; `_stop` says why
        except Exception as error:
            if must_retry(error):
                raise
            workflow.logger.exception("the run cannot continue")
            return Outcome(RunStatus.FAILED, unexpected(error))
        return self._stopped()

    async def _take_each_turn(self) -> Outcome | None:
        while not self._stop:
            if self.state.context.restore_to:
                self._restoring.finish()
            if self.state.interrupted:
                self.state.end_interrupted_turn(workflow_time.now())
            step = self._next_step()
            if not self._ends_at_once(step):
                if not self._stop and await self._continuation.begins(self.children):
                    return None
                # Of the calls of a turn, each waits for itself: while the run is paused, deadlines keep running.
                if not isinstance(step, CallTools) and not await self._gate.is_open():
                    continue
                step = self._next_step()
            outcome = await self._take(step)
            if outcome is not None:
                return outcome
        return self._stopped()

    def _next_step(self) -> CallModel | CallTools | Finish | GiveUp | WaitForMessage:
        state = self.state
        return next_step(
            state.last_message,
            pending=state.pending_calls,
            finish_reason=state.ending,
            turns=state.turns - state.exchange,
            max_turns=state.plan.spec.max_turns,
            messages=len(state.queue),
            answered=state.answered,
        )

    def _ends_at_once(self, step: CallModel | CallTools | Finish | GiveUp | WaitForMessage) -> bool:
        """Whether a step calls nothing, so that the run neither pauses nor continues as new before it."""
        if isinstance(step, Finish):
            return step.fault is not None or not self.state.checks.of_answers
        return isinstance(step, GiveUp)

    async def _take(self, step: CallModel | CallTools | Finish | GiveUp | WaitForMessage) -> Outcome | None:
        """Takes a step, and returns how the run ended; `None` means that it continues."""
        match step:
            case CallModel():
                outcome = await self._take_turn()
            case CallTools(calls):
                outcome = await self._make_calls(calls)
            case WaitForMessage() if self.state.context.compacting:
                outcome = await self._compact_now()
            case WaitForMessage():
                is_open = await has_next_message(self.state, self._continuation.is_near)
                outcome = None if is_open else Outcome(RunStatus.COMPLETED)
            case Finish(fault):
                outcome = await self._finish(fault)
            case GiveUp(error):
                if error.type == ErrorType.MAX_TURNS and self._budget.asks:
                    outcome = await self._stop_or_ask(self._budget.turns())
                else:
                    outcome = self._conclude(Outcome(RunStatus.FAILED, error))
        return outcome

    async def _finish(self, fault: RunError | None) -> Outcome | None:
        """Gives the model's last reply as the answer, if it is one."""
        self.state.mark_turn(workflow_time.now())
        reason = self._model.cut_off if fault and self._model.cut_off else fault
        if reason is None and self.state.checks.of_answers:
            await self._step.run(self._answer.check())
            if self._answer.settled is None:
                return None
            reason = self._answer.settled.error
        return self._conclude(Outcome(RunStatus.FAILED if reason else RunStatus.COMPLETED, reason))

    async def _take_turn(self) -> Outcome | None:
        """Calls the model, if the guards let it have the messages, and the budget allows the call."""
        await store_queued(self.state.queue)
        if self.state.spec.input_guards:
            self._deliver()
            if self.state.checks.pending:
                await self._step.run(self._guards.check())
                blocked, self._guards.error = self._guards.error, None
                return self._conclude(Outcome(RunStatus.FAILED, blocked)) if blocked else None
        plan = self._budget.plan_call()
        if isinstance(plan, Shortage):
            return await self._stop_or_ask(plan)
        self._model.max_output = plan.max_output
        self._day_limit = ""
        await self._step.run(self._call_model())
        if self._day_limit:
            why = self._day_limit.partition(";")[0]  # without what a run does that does not ask
            await self._budget_wait.take(f"a larger budget: {why}", until=next_day(workflow_time.now()))
        return None

    async def _make_calls(self, calls: list[ToolCall]) -> Outcome | None:
        """Makes those of the tool calls that the budget allows."""
        allowed = self._budget.allowed(calls)
        if isinstance(allowed, Shortage):
            return await self._stop_or_ask(allowed)
        await self._step.run(self._call_tools(allowed))
        return None

    async def _stop_or_ask(self, shortage: Shortage) -> Outcome | None:
        """Ends the run where its budget does, or waits until a person has raised it."""
        if self._budget.asks:
            await self._budget_wait.take(f"a larger budget: {shortage}", **asdict(shortage))
            return None
        for call in self.state.pending_calls:
            self.state.record_tool_result(workflow_time.now(), call, not_called(shortage), counts=False)
        return self._conclude(Outcome(RunStatus.FAILED, exceeded(shortage)))

    def _conclude(self, outcome: Outcome) -> Outcome | None:
        """Ends the run, or an exchange of a session, which then waits for the next message."""
        if not self.state.request.session:
            return outcome
        self.state.record_answer(workflow_time.now(), outcome.error)
        return None

    async def _call_model(self) -> None:
        """Calls the model with what it has not seen yet, and records its reply, if it was called."""
        state = self.state
        if not state.spec.input_guards:  # else all that may be delivered was guarded before
            self._deliver()
        self._view.update()
        try:
            reply = await self._calls.call(self._continuation.is_near)
        except (ActivityError, ContextFull) as error:
            if self._step.is_stopped:  # between two attempts, so that there is no partial reply
                return
            reason = error.reason if isinstance(error, ContextFull) else run_error(error)
            if self._budget.asks and reason.type == ErrorType.BUDGET_EXCEEDED and not self._stop:
                self._day_limit = reason.message
                return
            if not state.request.session or self._stop or reason.type == ErrorType.TIMED_OUT:
                raise
            state.record_answer(workflow_time.now(), reason)
            return
        if reply is not None:
            state.record_reply(workflow_time.now(), reply)
            self._budget.count_reply(reply)

    def _deliver(self) -> None:
        """Adds the messages that wait to the transcript."""
        last = self.state.last_message
        is_answered = self.state.answered or (last is not None and last.role == "assistant")
        self.state.deliver(workflow_time.now(), after_answer=is_answered)

    async def _compact_now(self) -> Outcome | None:
        """Compacts the context of a session that waits, if the budget allows it."""
        plan = self._budget.plan_call()
        if isinstance(plan, Shortage):
            return await self._stop_or_ask(plan)
        self._model.max_output = plan.max_output
        await self._step.run(self._compact_as_asked())
        return None

    async def _compact_as_asked(self) -> None:
        try:
            await self._calls.compact_as_asked(self._continuation.is_near)
        except ActivityError as error:
            self.state.record_refusal(workflow_time.now(), Compact.NAME, run_error(error).message, None)
            self.state.context.compacting = None

    async def _call_tools(self, calls: list[ToolCall]) -> None:
        async for call, result in self._tools.call_all(calls):
            self.state.record_tool_result(workflow_time.now(), call, result)
            self.stages.show()
        if not self.state.pending_calls:
            self.state.mark_turn(workflow_time.now())

    def _stopped(self) -> Outcome:
        if self._stop == RunStatus.TIMED_OUT:
            return Outcome(RunStatus.TIMED_OUT, RunError(type=ErrorType.TIMED_OUT, message=self._out_of_time))
        return Outcome(RunStatus.CANCELLED, RunError(type=ErrorType.CANCELLED, message="the run was cancelled"))
