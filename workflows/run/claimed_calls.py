"""Calls of tools that must not take effect twice: how often they are attempted, with and without a claim."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from holdfast.call_outcome import OUTCOME_UNKNOWN
    from holdfast.errors import ErrorType
    from holdfast.invocations import ToolInvocation
    from holdfast.types import ToolResult, ToolSpec
    from holdfast.workflows import options
    from holdfast.workflows.calls import error_type
    from holdfast.workflows.run.code_process import has_not_begun

LOST = (TimeoutType.HEARTBEAT, TimeoutType.START_TO_CLOSE)

Invoke = Callable[[ToolInvocation, options.ActivityOptions], Awaitable[ToolResult]]
"""Schedules the activity of a tool, and returns its result."""


async def call_once(tool: ToolSpec, invocation: ToolInvocation, invoke: Invoke) -> ToolResult:
    """Makes a call at most once, and returns its result; its `outcome` is `unknown` if nobody knows.

    With a claim, Temporal may attempt it several times: each attempt asks the ledger. If the store is unavailable, the
    call is made without a claim, in a single attempt.

    Args:
        tool: the tool, which is neither read-only nor idempotent.
        invocation: the call, with the claim that it needs; without one if there is no ledger.
        invoke: schedules the activity.

    Raises:
        ActivityError: the call has certainly not begun, or failed in a way that is not a loss of its worker.
    """
    if invocation.claim is None:
        return await _or_unknown(invoke(invocation, options.tool_call(tool)))
    try:
        return await _or_unknown(invoke(invocation, options.claimed_call(tool)))
    except ActivityError as error:
        if error_type(error) != ErrorType.NO_CLAIM:
            raise
    return await _without_claim(tool, invocation.model_copy(update={"claim": None}), invoke)


async def continue_call(tool: ToolSpec, invocation: ToolInvocation, invoke: Invoke) -> ToolResult:
    """Continues a call with answers to what an MCP server has asked, and returns its result.

    If a server keeps it open, that is done in the process that has this server. If it is lost, a call that may be
    repeated is made again, with the answers. One that must not take effect twice is not begun again: its `outcome` is
    then `unknown`. Its claim in the ledger holds the question, as the result of the activity that began it.

    Raises:
        ActivityError: the call failed in a way that is not a loss of its worker.
    """
    asked = invocation.elicitation
    if asked is not None and asked.held_in is not None:
        held = await _held(invocation, options.held_call(tool, asked.held_in), invoke)
        if held is not None or not tool.repeatable:
            return held or _unknown()
    if tool.repeatable:
        return await invoke(invocation, options.tool_call(tool))
    return await _or_unknown(invoke(invocation, options.tool_call(tool)))


async def _held(invocation: ToolInvocation, how: options.ActivityOptions, invoke: Invoke) -> ToolResult | None:
    """Continues a call in the process that keeps it open, and returns its result; `None` if it is lost."""
    for _ in range(options.HELD_CALL_TRIES):
        try:
            return await invoke(invocation, how)
        except ActivityError as error:
            if is_lost(error):
                break
            if not has_not_begun(error):
                raise
    return None


async def _without_claim(tool: ToolSpec, invocation: ToolInvocation, invoke: Invoke) -> ToolResult:
    single = options.tool_call(tool)
    result = await _or_unknown(invoke(invocation, single))
    if result.outcome == "unknown" and tool.verifies:
        result = await _or_unknown(invoke(invocation.model_copy(update={"lost": True}), single))
    if result.outcome is None:
        result.outcome = "unclaimed"
    return result


async def _or_unknown(call: Awaitable[ToolResult]) -> ToolResult:
    try:
        return await call
    except ActivityError as error:
        if not is_lost(error):
            raise
    return _unknown()


def _unknown() -> ToolResult:
    return ToolResult(error=OUTCOME_UNKNOWN, outcome="unknown")


def is_lost(error: ActivityError) -> bool:
    """Whether a call failed because its worker is lost or does not respond, so that it may have taken effect."""
    cause = error.cause
    if isinstance(cause, TemporalTimeoutError):
        return cause.type in LOST
    return error_type(error) in (ErrorType.CALL_LOST, ErrorType.NOT_HELD)
