"""One execution of a run: takes turns until the run ends, is stopped, or continues in a new history."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.protocol import Plan, RunRequest
    from holdfast.types import RunError, RunProgress, RunResult, RunStatus, ToolCall
    from holdfast.workflows import options
    from holdfast.workflows.calls import SUMMARY_CHARS, must_retry, unexpected
    from holdfast.workflows.run.model_calls import ModelCaller, out_of_time, run_error
    from holdfast.workflows.run.outbox import Outbox
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.tool_calls import ToolCaller
    from holdfast.workflows.run.turn import CallModel, CallTools, Finish, GiveUp, next_step
    from holdfast.workflows.run.view import View


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: RunStatus
    error: RunError | None = None


class Execution:
    """One execution of a run, built from its state, the outbox to the mirror, and the callers of model and tools."""

    def __init__(self, request: RunRequest, plan: Plan) -> None:
        info = workflow.info()
        carried = request.carried
        if carried:
            self.state = RunState.resume(info.workflow_id, request, carried)
        else:
            # A reset makes another execution, which is still the first one's: its log has the same beginning.
            chain = info.first_execution_run_id
            self.state = RunState.begin(info.workflow_id, request, plan, now=workflow.now(), chain=chain)
        self._outbox = Outbox(
            info.workflow_id,
            self.state.chain,
            self.state.log,
            self.state.summary,
            carried.head if carried else None,
        )
        self._view = View(self.state)
        self._model = ModelCaller(self.state, self._outbox, self._view)
        self._tools = ToolCaller(self.state, self._view)
        self._stop: RunStatus | None = None
        self._mirror_lags = False
        """Whether the mirror lagged when the run was to continue as new."""
        self._waited_for = ""

    async def run(self) -> Outcome | None:
        """Takes turns until the run ends; returns `None` if it must continue in a new execution."""
        turns = asyncio.create_task(self._take_turns())
        remaining = self.state.deadline - workflow.now()
        try:
            await workflow.wait_condition(
                turns.done, timeout=max(remaining, timedelta()), timeout_summary="the run's time limit"
            )
        except TimeoutError:
            self._stop = RunStatus.TIMED_OUT
            self._waited_for = f"; it was waiting for {', '.join(self.state.unserved)}" if self.state.unserved else ""
        except asyncio.CancelledError:
            self._stop = RunStatus.CANCELLED
        if self._stop:
            self._view.show_activity("stopping")
            turns.cancel()
            await workflow.wait([turns])
        outcome = turns.result()
        return self._stopped() if self._stop and outcome is None else outcome

    async def end(self, outcome: Outcome) -> RunResult:
        """Records the end, and sends it to the mirror now or by a `MirrorCatchUp` workflow."""
        result = self.state.finish(workflow.now(), outcome.status, outcome.error)
        self._view.update(final=True)
        if not await self._outbox.finish(options.FLUSH_TIMEOUT):
            await self._leave_mirror_to_catch_up()
        return result

    def next_request(self) -> RunRequest:
        """Returns the request that the next execution starts with."""
        carried = self.state.carry(workflow.info().run_id)  # its plan has the definition
        return self.state.request.model_copy(update={"agent": self.state.plan.spec.name, "carried": carried})

    def progress(self) -> RunProgress:
        """Returns the progress of the run."""
        return self.state.progress(self._outbox.acked_seq)

    async def _take_turns(self) -> Outcome | None:
        try:
            if self.state.plan.queued and not self.state.turns:
                await self._model.take_slot()
            return await self._take_each_turn()
        except ActivityError as error:
            if not self._stop:
                return Outcome(RunStatus.TIMED_OUT if out_of_time(error) else RunStatus.FAILED, run_error(error))
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
            step = next_step(
                self.state.last_message,
                pending=self.state.pending_calls,
                finish_reason=self.state.finish_reason,
                turns=self.state.turns,
                max_turns=self.state.plan.spec.max_turns,
            )
            match step:
                case CallModel():
                    is_waiting = not await self._call_model()
                    if is_waiting and await self._should_continue_as_new():
                        return None
                case CallTools(calls):
                    await self._call_tools(calls)
                    if await self._should_continue_as_new():
                        return None
                case Finish(fault):
                    self.state.mark_turn(workflow.now())
                    return Outcome(RunStatus.FAILED if fault else RunStatus.COMPLETED, fault)
                case GiveUp(error):
                    return Outcome(RunStatus.FAILED, error)
        return self._stopped()

    async def _call_model(self) -> bool:
        """Calls the model, and returns whether it replied."""
        self._view.update()
        reply = await self._model.call(self._pauses)
        if reply is not None:
            self.state.record_reply(workflow.now(), reply)
        return reply is not None

    async def _call_tools(self, calls: list[ToolCall]) -> None:
        async for call, result in self._tools.call_all(calls, self._pauses):
            self.state.record_tool_result(workflow.now(), call, result)
        if not self.state.pending_calls:
            self.state.mark_turn(workflow.now())

    def _pauses(self) -> bool:
        """Whether no further call of this turn is begun, so that the run can continue as new before it."""
        info = workflow.info()
        if self._mirror_lags and info.get_current_history_length() <= options.MAX_EVENTS:
            return False
        return info.is_continue_as_new_suggested()

    def _stopped(self) -> Outcome:
        if self._stop == RunStatus.TIMED_OUT:
            message = f"the run exceeded its time limit of {self.state.plan.timeout:g} s{self._waited_for}"
            return Outcome(RunStatus.TIMED_OUT, RunError(type=ErrorType.TIMED_OUT, message=message))
        return Outcome(RunStatus.CANCELLED, RunError(type=ErrorType.CANCELLED, message="the run was cancelled"))

    async def _should_continue_as_new(self) -> bool:
        """Whether to continue as new; the next execution reads the mirror, so the mirror must be complete first."""
        info = workflow.info()
        if self._stop or not info.is_continue_as_new_suggested():
            return False
        must_continue = info.get_current_history_length() > options.MAX_EVENTS
        self._mirror_lags = not await self._outbox.flush(None if must_continue else options.FLUSH_TIMEOUT)
        return not self._mirror_lags

    async def _leave_mirror_to_catch_up(self) -> None:
        run_id = self.state.run_id
        with contextlib.suppress(WorkflowAlreadyStartedError):  # by an execution before a reset; it reads the newest
            await workflow.start_child_workflow(
                names.MIRROR_CATCH_UP,
                run_id,
                id=names.catch_up_id(run_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=shortened(f"the mirror of {run_id}, once the store is back", SUMMARY_CHARS),
            )
