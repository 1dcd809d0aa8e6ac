"""AgentRun: one execution of an agent, from the input to the answer."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.protocol import Checkpoint, EntryPage, MessagePage, Plan, RunRequest
    from holdfast.types import RunProgress, RunResult, RunStatus, Usage
    from holdfast.workflows import options
    from holdfast.workflows.execution import Execution, Outcome
    from holdfast.workflows.log import Log
    from holdfast.workflows.model_calls import error_type, run_error
    from holdfast.workflows.request import parse_request
    from holdfast.workflows.state import SUMMARY_CHARS

NO_INPUT = RawValue(Payload())


@workflow.defn(name=names.AGENT_RUN)
class AgentRun:
    """Model call, tool calls, and again, until the model answers, a limit is reached or somebody stops it."""

    def __init__(self) -> None:
        self._wanted: RunRequest | None = None
        self._execution: Execution | None = None

    @workflow.run
    async def run(self, request: RawValue = NO_INPUT) -> RunResult:
        """Runs the agent to its end.

        Args:
            request: a RunRequest; taken raw, so that a malformed one fails the run instead of hanging it.

        Raises:
            ApplicationError: the run failed; `type` is an ErrorType, the details hold the RunResult.
            CancelledError: it was cancelled.
        """
        wanted = self._wanted = parse_request(request)
        plan = wanted.carried.plan if wanted.carried else await prepare(wanted)
        execution = self._execution = Execution(wanted, plan)
        outcome = await execution.run()
        if outcome is None:
            workflow.continue_as_new(execution.next_request())
        return conclude(outcome, await execution.end(outcome))

    @workflow.query(name=names.QUERY_STATUS)
    def status(self) -> RunProgress:
        """Where the run stands."""
        if self._execution:
            return self._execution.progress()
        if self._wanted:
            return queued(self._wanted)
        raise ApplicationError("the run never began, as its input was refused; its failure says why")

    @workflow.query(name=names.QUERY_ENTRIES)
    def entries(self, after: int = -1) -> EntryPage:
        """The run's log after entry `after`."""
        return (self._execution.state.log if self._execution else Log()).page(after)

    @workflow.query(name=names.QUERY_TRANSCRIPT)
    def transcript(self, after: int = -1) -> MessagePage:
        """The transcript after message `after`."""
        return (self._execution.state.log if self._execution else Log()).message_page(after)

    @workflow.query(name=names.QUERY_USAGE)
    def usage(self) -> Usage:
        """Tokens and cost so far."""
        return self._execution.state.usage if self._execution else Usage()

    @workflow.query(name=names.QUERY_CHECKPOINTS)
    def checkpoints(self) -> list[Checkpoint]:
        """The ends of the turns of this execution, as points that the run can be gone back to."""
        return self._execution.state.checkpoints() if self._execution else []

    @workflow.query(name=names.QUERY_PENDING_APPROVALS)
    def pending_approvals(self) -> list[str]:
        """Calls that wait for a person; none, as tools that need approval are refused."""
        return []


def queued(wanted: RunRequest) -> RunProgress:
    """A run whose agent is still being prepared."""
    return RunProgress(
        run_id=workflow.info().workflow_id,
        agent=wanted.agent if isinstance(wanted.agent, str) else wanted.agent.name,
        status=RunStatus.QUEUED,
        doing="the agent is being prepared",
        input=wanted.input[:SUMMARY_CHARS],
        started_at=workflow.info().start_time,
    )


async def prepare(wanted: RunRequest) -> Plan:
    """Asks the worker for the agent and settles the limits.

    Raises:
        ApplicationError: no such agent, or its tools are not served.
    """
    try:
        plan: Plan = await workflow.execute_activity(
            names.RUN_PREPARE,
            args=[wanted.options(), len(wanted.input.encode())],
            result_type=Plan,
            summary="the agent's definition and limits",
            **options.PREPARE,
        )
    except ActivityError as error:
        if error_type(error) is None:
            raise
        reason = run_error(error)
        raise ApplicationError(reason.message, type=reason.type, non_retryable=True) from error
    return plan


def conclude(outcome: Outcome, result: RunResult) -> RunResult:
    """Ends the workflow in the way that Temporal and its UI show the outcome by."""
    if outcome.status == RunStatus.COMPLETED:
        return result
    if outcome.status == RunStatus.CANCELLED:
        raise asyncio.CancelledError
    assert outcome.error is not None, "only a run that ended well has no error"
    raise ApplicationError(outcome.error.message, result, type=outcome.error.type, non_retryable=True)
