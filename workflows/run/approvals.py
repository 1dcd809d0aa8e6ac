"""Approval of tool calls by people: a call that needs it waits, and others of its turn do not."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.decisions import Decision, parsed_arguments
    from holdfast.progress import Wait
    from holdfast.types import ToolCall, ToolResult, ToolSpec
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.run.code_process import CodeProcess
    from holdfast.workflows.run.decisions import Decisions
    from holdfast.workflows.run.invocations import invocation_of, shown_call
    from holdfast.workflows.run.people import People
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.turn import describe_call
    from holdfast.workflows.run.waiting import APPROVAL

MAX_SHOWN_BYTES = 16 * 1024
"""Of the arguments that a wait shows; a run carries them, and the message with the call has them as well."""


class Approvals:
    """Decides whether a call may be made, and asks a person if need be.

    Args:
        state: the run.
        decisions: what people have decided.
        people: waits for them.
        process: evaluates the conditions of tools that only it has.
    """

    def __init__(self, state: RunState, decisions: Decisions, people: People, process: CodeProcess) -> None:
        self._state = state
        self._decisions = decisions
        self._people = people
        self._process = process

    async def admit(self, call: ToolCall, tool: ToolSpec) -> ToolCall | ToolResult | None:
        """Waits until a call may be made.

        Returns:
            The call to make, with other arguments if a person has edited them; or the result of a call that must not be
            made; `None` means that the run continues as new before a decision.

        Raises:
            CancelledError: the turn was stopped before a decision.
        """
        wait_id = self._state.wait_id(call) + (APPROVAL if tool.operation else "")
        if self._decisions.of(wait_id) is None:
            if wait_id not in self._state.open_waits and not (needs := await self._needs_person(call, tool)):
                return None if needs is None else call
            wait = self._state.open_waits.get(wait_id) or self._wait(wait_id, call, tool)
            if not await self._people.decide(wait):
                return None
        decision = self._decisions.of(wait_id)
        assert decision is not None, "a wait that has ended has a decision"
        return _admitted(call, decision)

    async def _needs_person(self, call: ToolCall, tool: ToolSpec) -> bool | None:
        """Returns whether a call needs approval; `None` means that the run continues as new before this is known."""
        if tool.approval == "never" or self._decisions.granted(call):
            return False
        return tool.approval == "always" or await self._holds(call, tool)

    async def _holds(self, call: ToolCall, tool: ToolSpec) -> bool | None:
        """Returns whether the tool's condition demands approval; it does unless the worker says that it does not."""
        how = options.ActivityOptions(
            **options.APPROVAL_CHECK, **self._process.limits(tool.task_queue), task_queue=tool.task_queue
        )
        try:
            # Not a local activity: the time of its result, which the wait records, may differ in a replay.
            return await self._process.served(
                lambda _: call_activity(
                    names.APPROVAL_CHECK,
                    (tool.activity, invocation_of(self._state, call)),
                    bool,
                    summary=f"does this need approval? {shown_call(self._state, call)}",
                    **how,
                )
            )
        except ActivityError as error:
            workflow.logger.warning("the condition of %s cannot be evaluated: %s", tool.name, error.cause)
            return True

    def _wait(self, wait_id: str, call: ToolCall, tool: ToolSpec) -> Wait:
        arguments = parsed_arguments(call.arguments)
        size = len(call.arguments.encode())
        shown = {"bytes": size} if size > MAX_SHOWN_BYTES else {"arguments": arguments or call.arguments}
        return Wait(
            id=wait_id,
            kind="approval",
            since=workflow_time.now(),
            until=self._people.deadline(),
            what=f"approval of {describe_call(call)}",
            data={"call": call.id, "tool": tool.name} | shown,
        )


def _admitted(call: ToolCall, decision: Decision) -> ToolCall | ToolResult:
    if decision.outcome == "approved":
        return call if decision.arguments is None else call.model_copy(update={"arguments": decision.arguments})
    if decision.outcome == "denied":
        who = decision.by or "a person"
        reason = f": {decision.text}" if decision.text else ""
        return ToolResult(error=f"{who} denied this call, so it was not made{reason}")
    if decision.outcome == "expired":
        return ToolResult(error="nobody approved this call in time, so it was not made")
    return ToolResult(error="this call was withdrawn before anybody approved it, so it was not made")
