"""Lost calls: a person says what became of a call whose worker died while nobody else could tell."""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import shortened
    from holdfast.call_outcome import DID_NOT_HAPPEN, HAPPENED, OUTCOME_UNKNOWN
    from holdfast.commands import Resolve
    from holdfast.invocations import Resolution
    from holdfast.progress import Wait
    from holdfast.types import ToolCall, ToolResult, ToolSpec
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.control import Refusal
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.open_wait import wait_until_over
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.turn import describe_call

SHOWN_ARGUMENTS = 2_000  # characters that a wait shows; the message with the call has all of them
SHOWN_NAME = 80  # characters of what a command names, in a refusal


class LostCalls:
    """Asks a person about calls of tools with `on_unknown="ask"`, and keeps the answer until it is acted on.

    Args:
        state: the run.
        gate: says when the run is to continue as new.
    """

    def __init__(self, state: RunState, gate: Gate) -> None:
        self._state = state
        self._gate = gate

    def is_asked(self, call: ToolCall) -> bool:
        """Whether a person is asked about a call, or has answered, and nothing has followed from it yet."""
        wait_id = self._wait_id(call)
        return wait_id in self._state.open_waits or wait_id in self._state.resolutions

    async def resolution(self, call: ToolCall, tool: ToolSpec) -> Resolution | ToolResult | None:
        """Waits until a person has said what became of a call.

        Returns:
            What they said; or the result of the call, if the turn was stopped; `None` means that the run continues as
            new before.
        """
        state, wait_id = self._state, self._wait_id(call)
        if wait_id not in state.resolutions:
            try:
                await wait_until_over(state, self._wait(wait_id, call, tool), self._gate)
            except asyncio.CancelledError:
                if wait_id in state.open_waits:
                    state.end_wait(workflow_time.now(), wait_id, "withdrawn")
                return ToolResult(error=OUTCOME_UNKNOWN, outcome="unknown")
        return state.resolutions.get(wait_id)

    def forget(self, call: ToolCall) -> None:
        """Forgets what a person has said, as it is acted on."""
        self._state.resolutions.pop(self._wait_id(call), None)

    def check(self, command: Resolve) -> None:
        """Refuses what is said of a call that nobody asks about, or a result of what did not happen."""
        self._found(command.call)
        if command.result and not command.happened:
            raise Refusal("a call that did not take effect has no result; leave the result out")

    def apply(self, command: Resolve, _seq: int) -> None:
        """Ends the wait."""
        wait = self._found(command.call)
        facts = {"by": command.by} if command.by else {}
        self._state.resolutions[wait.id] = Resolution(happened=command.happened, result=command.result)
        self._state.end_wait(workflow_time.now(), wait.id, HAPPENED if command.happened else DID_NOT_HAPPEN, **facts)

    def _wait_id(self, call: ToolCall) -> str:
        return f"{self._state.turns}/{call.id}/outcome"

    def _wait(self, wait_id: str, call: ToolCall, tool: ToolSpec) -> Wait:
        return Wait(
            id=wait_id,
            kind="call",
            since=workflow_time.now(),
            what=f"someone to say whether {describe_call(call)} took effect",
            data={"call": call.id, "tool": tool.name, "arguments": shortened(call.arguments, SHOWN_ARGUMENTS)},
        )

    def _found(self, name: str) -> Wait:
        waits = [wait for wait in self._state.open_waits.values() if wait.kind == "call"]
        found = [wait for wait in waits if name in (wait.id, wait.id.removesuffix("/outcome"), wait.data.get("call"))]
        if found:
            return found[0]
        shown = repr(shortened(name, SHOWN_NAME))
        said = next((each for key, each in self._state.resolutions.items() if name in key), None)
        if said is not None:
            raise Refusal(f"no lost call {shown} waits any more: someone has already resolved it")
        ids = ", ".join(wait.id for wait in waits) or "none"
        raise Refusal(f"no lost call {shown} waits for a person; those that wait: {ids}")
