"""`ToolRun`: one call of an agent's tool without a run, with the guarantees that the call has in a run."""

from __future__ import annotations

import json
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.invocations import CallClaim, ToolInvocation
    from holdfast.protocol import Plan, RunRequest
    from holdfast.tool_runs import ToolRunRequest
    from holdfast.types import ToolCall, ToolResult, ToolSpec
    from holdfast.workflows import options
    from holdfast.workflows.calls import SUMMARY_CHARS, call_activity
    from holdfast.workflows.inputs import checked_input
    from holdfast.workflows.run.claimed_calls import call_once, continue_call
    from holdfast.workflows.run.elicitations import cancelled
    from holdfast.workflows.run.preparation import Preparation
    from holdfast.workflows.run.tool_calls import explain
    from holdfast.workflows.run.turn import describe_call, refuse_call, tools_by_name
    from holdfast.workflows.run.waits import is_unserved

EXAMPLE = '{"agent": "clerk", "tool": "stock", "arguments": {"article": "rope"}}'
CALL_ID = "call"
ACTIVE = "a tool"  # what a run is told that it begins with; no model sees it


@workflow.defn(name=names.TOOL_RUN)
class ToolRun:
    """Finds the tool, checks that it may be called, calls it and returns its result, also that of a failed call."""

    @workflow.run
    async def run(self, wanted: Any = None) -> ToolResult:
        """Calls a tool and returns its result.

        Args:
            wanted: a ToolRunRequest; validated here, so that a malformed one fails the workflow instead of blocking it.

        Raises:
            ApplicationError: the agent has no such tool, it must be called by a run, or it needs an approval.
        """
        request = checked_input(ToolRunRequest, wanted, name=names.TOOL_RUN, example=EXAMPLE)
        plan = await Preparation(_as_run(request)).plan()
        call = ToolCall(id=CALL_ID, name=request.tool, arguments=json.dumps(request.arguments, ensure_ascii=False))
        tool = _tool(plan, call)
        invocation = _invocation(plan, call, request)
        if not request.approve and await self._needs_person(plan, tool, invocation):
            raise _refusal(
                f"{tool.name!r} needs a person's approval for this call, and there is no run that could ask for it; a "
                "person who approves it passes approve=True, or --yes",
                ErrorType.APPROVAL_REQUIRED,
            )
        return await self._made(plan, tool, invocation)

    async def _needs_person(self, plan: Plan, tool: ToolSpec, invocation: ToolInvocation) -> bool:
        if tool.approval != "condition":
            return tool.approval != "never"
        how = options.ActivityOptions(**options.APPROVAL_CHECK, task_queue=tool.task_queue)
        try:
            return await call_activity(
                names.APPROVAL_CHECK,
                (tool.activity, invocation),
                bool,
                summary=f"does this need approval? {_shown(plan, invocation)}",
                **how,
            )
        except ActivityError as error:
            workflow.logger.warning("the condition of %s cannot be evaluated: %s", tool.name, error.cause)
            return True

    async def _made(self, plan: Plan, tool: ToolSpec, invocation: ToolInvocation) -> ToolResult:
        """Makes the call as soon as a worker serves the tool."""
        delay = options.FIRST_WAIT
        while True:
            try:
                return await self._attempt(plan, tool, invocation.model_copy(deep=True))
            except ActivityError as error:
                if not is_unserved(error):
                    return ToolResult(error=explain(error, tool))
            except ApplicationError as error:
                return ToolResult(error=error.message)
            what = shortened(f"waiting for a worker that serves tool {tool.name!r}", SUMMARY_CHARS)
            workflow.set_current_details(what)
            await workflow.sleep(delay, summary=what)
            delay = min(2 * delay, options.LONGEST_WAIT)

    async def _attempt(self, plan: Plan, tool: ToolSpec, invocation: ToolInvocation) -> ToolResult:
        async def invoke(invocation: ToolInvocation, how: options.ActivityOptions) -> ToolResult:
            return await call_activity(tool.activity, invocation, ToolResult, summary=_shown(plan, invocation), **how)

        if tool.repeatable:
            result = await invoke(invocation, options.tool_call(tool))
        else:
            if tool.claims and plan.ledger:
                invocation.claim = CallClaim(chain=workflow.info().first_execution_run_id, message=0, index=0)
            result = await call_once(tool, invocation, invoke)
        while result.elicitation is not None:  # without a run, there is nobody to ask
            asked = result.elicitation.model_copy(update={"repeatable": tool.repeatable})
            again = invocation.model_copy(update={"claim": None, "elicitation": cancelled(asked)})
            result = await continue_call(tool, again, invoke)
        return result


def _as_run(request: ToolRunRequest) -> RunRequest:
    """Returns the request of a run of the same agent, as which the call is prepared."""
    given = {"workspace": request.workspace} if request.workspace else {}
    return RunRequest.model_validate({"agent": request.agent, "input": ACTIVE, "alone": True, **given})


def _tool(plan: Plan, call: ToolCall) -> ToolSpec:
    tools = tools_by_name(plan.spec)
    if (refusal := refuse_call(call, tools)) is not None:
        raise _refusal(f"agent {plan.spec.name!r}: {refusal}", ErrorType.INVALID_REQUEST)
    tool = tools[call.name]
    if tool.operation is not None:
        raise _refusal(
            f"{tool.name!r} is performed by a run, so it cannot be called without one", ErrorType.INVALID_REQUEST
        )
    return tool


def _invocation(plan: Plan, call: ToolCall, request: ToolRunRequest) -> ToolInvocation:
    invocation = ToolInvocation(
        run_id=workflow.info().workflow_id,
        agent=plan.spec.name,
        turn=1,
        call=call,
        workspace=plan.workspace,
        alone=True,
    )
    if plan.spec.memory_path is not None:
        invocation.memory_path = plan.spec.memory_path
    if request.context is not None:
        invocation.context = request.context
    if plan.spec.tool_wrappers:
        invocation.wrappers = plan.spec.tool_wrappers
    return invocation


def _shown(plan: Plan, invocation: ToolInvocation) -> str:
    return invocation.call.name if plan.private else describe_call(invocation.call)


def _refusal(message: str, kind: ErrorType) -> ApplicationError:
    return ApplicationError(message, type=kind, non_retryable=True)
