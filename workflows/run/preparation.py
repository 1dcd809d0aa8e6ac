"""Preparation of a run: a worker resolves the agent and the limits."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.fork_of import ForkOf
    from holdfast.forking import Prefix
    from holdfast.progress import RunProgress
    from holdfast.protocol import Plan, RunRequest
    from holdfast.types import RunError, RunStatus
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import call_activity, error_type
    from holdfast.workflows.local import attempt_locally
    from holdfast.workflows.options import FIRST_WAIT
    from holdfast.workflows.run.attachments import stored
    from holdfast.workflows.run.fork import copy_workspace, read_prefix
    from holdfast.workflows.run.model_calls import run_error
    from holdfast.workflows.run.prompting import Prompting
    from holdfast.workflows.run.state import SUMMARY_CHARS

REASON_CHARS = 500  # of the reason that is shown while a run waits
LONGEST_SERVER_WAIT = timedelta(seconds=30)
"""Before an MCP server is tried again: each attempt is some ten events."""
SERVER_WAIT = "waiting for an MCP server"


class Preparation:
    """Resolves what a run executes, and waits for a worker that serves it, at most for the run's time limit."""

    def __init__(self, wanted: RunRequest) -> None:
        self._wanted = wanted
        self._agent = wanted.agent if isinstance(wanted.agent, str) else wanted.agent.name
        self._limit = None if wanted.timeout is None else timedelta(seconds=wanted.timeout)
        self._doing = "preparing the agent"
        self._needs_server = False
        """Whether an MCP server of the agent was unavailable at the last attempt."""
        self._pause = timedelta()

    async def plan(self) -> Plan:
        """Returns the plan of the run.

        Raises:
            ApplicationError: no worker serves the agent or its tools within the run's time limit, or the start is
                rejected.
        """
        wanted, size = arguments = (self._wanted.options(), len(self._wanted.input.encode()))
        timed = wanted.model_copy(update={"asked_at": workflow_time.now()})
        plan: Plan | None = await attempt_locally(
            names.RUN_PREPARE, timed, size, result_type=Plan, on_failure=self._show_wait
        )
        if plan is not None and plan.asked_at is not None:
            workflow_time.pin(plan.asked_at)
            plan.asked_at = None
        while plan is None and self._needs_server:
            plan = await self._attempt(arguments)
        if plan is not None:
            return plan
        try:
            return await call_activity(
                names.RUN_PREPARE,
                arguments,
                Plan,
                summary="the agent's definition and limits",
                **options.prepare(self._limit),
            )
        except ActivityError as error:
            if error_type(error) is None:
                raise
            reason = run_error(error)
            message = reason.message
            if reason.type == ErrorType.UNKNOWN_AGENT and self._limit:
                message = f"no worker served the run within {self._limit.total_seconds():g} s: {message}"
            raise ApplicationError(message, type=reason.type, non_retryable=True) from error

    async def stored(self, wanted: RunRequest) -> RunRequest:
        """Returns the request with the contents in the store that it carries itself, if it does."""
        changes: dict[str, object] = {}
        if any(each.data for each in wanted.attachments):
            self._doing = "storing the attachments"
            changes["attachments"] = await stored(wanted.attachments)
        if wanted.fork and any(each.data for each in wanted.fork.attachments):
            self._doing = "storing the attachments of the message"
            kept = await stored(wanted.fork.attachments)
            changes["fork"] = wanted.fork.model_copy(update={"attachments": kept})
        return wanted.model_copy(update=changes) if changes else wanted

    async def _attempt(self, arguments: tuple[object, ...]) -> Plan | None:
        """Makes one attempt while an MCP server of the agent is unavailable, after a pause that is shown to people.

        Raises:
            ApplicationError: the time limit has passed, or the start is rejected.
        """
        if (left := self._left()) is not None and left <= timedelta():
            raise ApplicationError(f"no tools within the time limit: {self._doing}", type=ErrorType.MCP_UNAVAILABLE)
        if self._pause:
            await workflow.sleep(self._pause if left is None else min(self._pause, left), summary=SERVER_WAIT)
        self._pause = min(max(2 * self._pause, FIRST_WAIT), LONGEST_SERVER_WAIT)
        self._needs_server = False
        try:
            return await call_activity(
                names.RUN_PREPARE, arguments, Plan, summary="the agent's definition and limits", **options.PREPARE_ONCE
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._show_wait(error)
        return None

    def _left(self) -> timedelta | None:
        return None if self._limit is None else self._limit - (workflow_time.now() - workflow.info().start_time)

    async def prefix(self, fork: ForkOf, plan: Plan) -> Prefix:
        """Returns the log that a fork begins with, and copies the workspace if it has one of its own.

        Raises:
            ApplicationError: the fork is refused, or the run cannot be read within the fork's time limit.
        """
        self._doing = f"reading the log of run {fork.run!r}"
        limit = timedelta(seconds=plan.timeout)
        try:
            prefix = await read_prefix(fork, limit, session=self._wanted.session)
            if self._wanted.workspace is None:
                self._doing = f"copying the workspace of run {fork.run!r}"
                await copy_workspace(prefix, plan, limit)
        except ActivityError as error:
            if error_type(error) is None:
                raise
            reason = run_error(error)
            raise ApplicationError(reason.message, type=reason.type, non_retryable=True) from error
        return prefix

    async def prompt(self, plan: Plan) -> RunError | None:
        """Completes the plan with the system prompt, if a function of the agent writes it.

        Returns:
            Why it could not be written; `None` means that it was.
        """

        def show(what: str) -> None:
            self._doing = f"waiting for {what}"
            workflow.set_current_details(f"**queued** · {self._doing}")

        self._doing = "writing the system prompt"
        return await Prompting(self._wanted, plan, show).write()

    def progress(self) -> RunProgress:
        """Returns the progress of the run while it is being prepared."""
        return RunProgress(
            run_id=workflow.info().workflow_id,
            agent=self._agent,
            status=RunStatus.QUEUED,
            doing=self._doing,
            input=self._wanted.shown_input[:SUMMARY_CHARS],
            started_at=workflow.info().workflow_start_time,
        )

    def _show_wait(self, error: FailureError) -> None:
        cause = error if isinstance(error, ApplicationError) else error.cause
        shown = (ErrorType.UNKNOWN_AGENT, ErrorType.MCP_UNAVAILABLE)
        if not isinstance(cause, ApplicationError) or cause.type not in shown:
            return
        [seconds] = cause.details or [None]
        if self._limit is None and isinstance(seconds, int | float):
            self._limit = timedelta(seconds=seconds)
        reason = shortened(cause.message, REASON_CHARS)
        self._needs_server = cause.type == ErrorType.MCP_UNAVAILABLE
        self._doing = f"waiting for a worker that serves agent {self._agent!r}: {reason}"
        if self._needs_server:
            self._doing = f"waiting for an MCP server of agent {self._agent!r}: {reason}"
        workflow.set_current_details(f"**queued** · {self._doing}")
