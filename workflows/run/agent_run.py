"""`AgentRun`: one execution of an agent, from the input to the answer."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError
from typing_extensions import override

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.call_progress import ToolProgress
    from holdfast.checkpoints import Checkpoint
    from holdfast.children import AgentCall, CalledAgent, ChildReport
    from holdfast.progress import FOR_PEOPLE, RunProgress, Wait
    from holdfast.protocol import EntryPage, MessagePage
    from holdfast.types import RunResult, RunStatus, Usage
    from holdfast.workflows.calls import must_retry, unexpected
    from holdfast.workflows.run.control import Control
    from holdfast.workflows.run.execution import Execution, Outcome
    from holdfast.workflows.run.handlers import NOTHING, CommandHandlers
    from holdfast.workflows.run.log import Log
    from holdfast.workflows.run.parent_link import ParentLink
    from holdfast.workflows.run.preparation import Preparation
    from holdfast.workflows.run.request import parse_request


@workflow.defn(name=names.AGENT_RUN)
class AgentRun(CommandHandlers):
    """Alternates model calls and tool calls until the model answers, a limit is reached, or the run is stopped."""

    def __init__(self) -> None:
        self._preparation: Preparation | None = None
        self._execution: Execution | None = None
        self.control = Control()
        self._parent = ParentLink()
        self._reports: list[ChildReport] = []
        """Of children, which came before the execution could take them."""

    @workflow.run
    async def run(self, request: RawValue = NOTHING) -> RunResult:
        """Runs the agent until it ends, and returns its result.

        Args:
            request: a RunRequest; decoded here, so that a malformed one fails the run instead of blocking it.

        Raises:
            ApplicationError: the run failed; `type` is an ErrorType, and the details hold the RunResult.
            CancelledError: the run was cancelled.
        """
        try:
            return await self._run(request)
        except asyncio.CancelledError as error:
            await self._parent.fail(error)
            raise
        except FailureError as error:
            await self._parent.fail(error)
            raise
        except Exception as error:
            if must_retry(error):
                raise
            reason = unexpected(error)
            await self._parent.fail(error)
            raise ApplicationError(reason.message, type=reason.type, non_retryable=True) from error

    async def _run(self, request: RawValue) -> RunResult:
        wanted = parse_request(request)
        prefix, failure = None, None
        self._parent.begin(wanted.parent)
        if wanted.carried:
            plan = wanted.carried.plan
        else:
            self._preparation = Preparation(wanted)
            plan = await self._preparation.plan()
            failure = await self._preparation.prompt(plan)
            wanted = await self._preparation.stored(wanted)
            if wanted.fork:
                prefix = await self._preparation.prefix(wanted.fork, plan)
        execution = self._execution = Execution(wanted, plan, self.control, prefix)
        self._parent.follow(execution.state)
        for report in self._reports:
            execution.children.report(report)
        outcome = Outcome(RunStatus.FAILED, failure) if failure else await execution.run()
        if outcome is None:
            await self._parent.settle()
            following = execution.next_request()
            self.control.hand_over()
            workflow.continue_as_new(following)
        result = await execution.end(outcome)
        await self._parent.end(result)
        return conclude(outcome, result)

    @override
    def child_reports(self, report: ChildReport) -> None:
        if self._execution:
            self._execution.children.report(report)
        else:
            self._reports.append(report)

    @override
    def stage_entered(self, report: ToolProgress) -> None:
        if self._execution:
            self._execution.stages.enter(report)

    @override
    def parent_asks(self, *, again: bool) -> None:
        self._parent.ask(again=again)

    @workflow.update(name=names.UPDATE_CALL_AGENT, unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def call_agent(self, asked: AgentCall) -> CalledAgent:
        """Starts a child run for a tool of this run, or returns the one that it has started before."""
        if self._execution is None:
            return CalledAgent(error="the run has not begun")
        return await self._execution.tool_children.call(asked)

    @workflow.query(name=names.QUERY_STATUS)
    def status(self) -> RunProgress:
        """Returns the progress of the run."""
        if self._execution:
            return self._execution.progress()
        if self._preparation:
            return self._preparation.progress()
        raise ApplicationError("the run never started, because its input was rejected; its failure says why")

    @workflow.query(name=names.QUERY_ENTRIES)
    def entries(self, after: int = -1) -> EntryPage:
        """Returns a page of the run's log after entry `after`."""
        return (self._execution.state.log if self._execution else Log()).page(after)

    @workflow.query(name=names.QUERY_TRANSCRIPT)
    def transcript(self, after: int = -1) -> MessagePage:
        """Returns a page of the transcript after message `after`."""
        return (self._execution.state.log if self._execution else Log()).message_page(after)

    @workflow.query(name=names.QUERY_USAGE)
    def usage(self) -> Usage:
        """Returns the tokens and cost so far."""
        return self._execution.state.usage if self._execution else Usage()

    @workflow.query(name=names.QUERY_CHECKPOINTS)
    def checkpoints(self) -> list[Checkpoint]:
        """Returns the checkpoints of this execution; every turn ends with one."""
        return self._execution.state.context.checkpoints if self._execution else []

    @workflow.query(name=names.QUERY_PENDING_APPROVALS)
    def pending_approvals(self) -> list[Wait]:
        """Returns what waits for a person: approvals, questions, budgets, and calls whose outcome is unknown."""
        waits = self._execution.state.open_waits.values() if self._execution else []
        return [wait for wait in waits if wait.kind in FOR_PEOPLE]


def conclude(outcome: Outcome, result: RunResult) -> RunResult:
    """Ends the workflow so that Temporal and its UI show the outcome: returns the result, cancels or fails."""
    if outcome.status == RunStatus.COMPLETED:
        return result
    if outcome.status == RunStatus.CANCELLED:
        raise asyncio.CancelledError
    assert outcome.error is not None, "every outcome except `completed` has an error"
    raise ApplicationError(outcome.error.message, result, type=outcome.error.type, non_retryable=True)
