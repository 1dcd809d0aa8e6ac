"""`AgentRun`: one execution of an agent, from the input to the answer."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.protocol import Checkpoint, EntryPage, MessagePage, Plan, RunRequest
    from holdfast.types import RunProgress, RunResult, RunStatus, Usage
    from holdfast.workflows import options
    from holdfast.workflows.calls import call_activity, must_retry, unexpected
    from holdfast.workflows.execution import Execution, Outcome
    from holdfast.workflows.local import attempt_locally
    from holdfast.workflows.log import Log
    from holdfast.workflows.model_calls import error_type, run_error
    from holdfast.workflows.request import parse_request
    from holdfast.workflows.state import SUMMARY_CHARS

NO_INPUT = RawValue(Payload())


@workflow.defn(name=names.AGENT_RUN)
class AgentRun:
    """Alternates model calls and tool calls until the model answers, a limit is reached, or the run is stopped."""

    def __init__(self) -> None:
        self._wanted: RunRequest | None = None
        self._execution: Execution | None = None

    @workflow.run
    async def run(self, request: RawValue = NO_INPUT) -> RunResult:
        """Runs the agent until it ends, and returns its result.

        Args:
            request: a RunRequest; decoded here, so that a malformed one fails the run instead of blocking it.

        Raises:
            ApplicationError: the run failed; `type` is an ErrorType, and the details hold the RunResult.
            CancelledError: the run was cancelled.
        """
        try:
            return await self._run(request)
        except FailureError:
            raise
        except Exception as error:
            if must_retry(error):
                raise
            reason = unexpected(error)
            raise ApplicationError(reason.message, type=reason.type, non_retryable=True) from error

    async def _run(self, request: RawValue) -> RunResult:
        wanted = self._wanted = parse_request(request)
        plan = wanted.carried.plan if wanted.carried else await prepare(wanted)
        execution = self._execution = Execution(wanted, plan)
        outcome = await execution.run()
        if outcome is None:
            workflow.continue_as_new(execution.next_request())
        return conclude(outcome, await execution.end(outcome))

    @workflow.query(name=names.QUERY_STATUS)
    def status(self) -> RunProgress:
        """Returns the progress of the run."""
        if self._execution:
            return self._execution.progress()
        if self._wanted:
            return queued(self._wanted)
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
        return self._execution.state.checkpoints() if self._execution else []

    @workflow.query(name=names.QUERY_PENDING_APPROVALS)
    def pending_approvals(self) -> list[str]:
        """Returns the calls that wait for a person's approval; always none, as tools that need one are refused."""
        return []


def queued(wanted: RunRequest) -> RunProgress:
    """Returns the progress of a run whose agent is still being prepared."""
    return RunProgress(
        run_id=workflow.info().workflow_id,
        agent=wanted.agent if isinstance(wanted.agent, str) else wanted.agent.name,
        status=RunStatus.QUEUED,
        doing="preparing the agent",
        input=wanted.input[:SUMMARY_CHARS],
        started_at=workflow.info().start_time,
    )


async def prepare(wanted: RunRequest) -> Plan:
    """Resolves the agent and the limits of the run, on a worker.

    Raises:
        ApplicationError: the agent is unknown, or no worker serves its tools.
    """
    arguments = [wanted.options(), len(wanted.input.encode())]
    plan: Plan | None = await attempt_locally(names.RUN_PREPARE, *arguments, result_type=Plan)
    if plan is not None:
        return plan
    try:
        return await call_activity(
            names.RUN_PREPARE, tuple(arguments), Plan, summary="the agent's definition and limits", **options.PREPARE
        )
    except ActivityError as error:
        if error_type(error) is None:
            raise
        reason = run_error(error)
        raise ApplicationError(reason.message, type=reason.type, non_retryable=True) from error


def conclude(outcome: Outcome, result: RunResult) -> RunResult:
    """Ends the workflow so that Temporal and its UI show the outcome: returns the result, cancels or fails."""
    if outcome.status == RunStatus.COMPLETED:
        return result
    if outcome.status == RunStatus.CANCELLED:
        raise asyncio.CancelledError
    assert outcome.error is not None, "every outcome except `completed` has an error"
    raise ApplicationError(outcome.error.message, result, type=outcome.error.type, non_retryable=True)
