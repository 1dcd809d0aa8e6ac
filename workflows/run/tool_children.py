"""Calls of agents that tools make while they run: each is a child of the run, which the call of the tool owns."""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.children import MAX_DEPTH, AgentCall, CalledAgent, ChildRun
    from holdfast.types import ToolCall, ToolResult
    from holdfast.workflows.run.child_order import ChildOrder
    from holdfast.workflows.run.children import Children
    from holdfast.workflows.run.state import RunState

ENDED = "no agent was called: the call of this tool has ended"


class ToolChildren:
    """Starts the runs that tools ask for, and ends those that are left when the tool has ended.

    Args:
        state: the run.
        children: starts and stops the runs.
    """

    def __init__(self, state: RunState, children: Children) -> None:
        self._state = state
        self._children = children
        self._starting: dict[str, asyncio.Task[ChildRun | ToolResult]] = {}
        """By the call that asks; an attempt of a tool may ask again while the first one is being answered."""

    async def call(self, asked: AgentCall) -> CalledAgent:
        """Starts the run of a call, or returns the one that an earlier attempt of the tool has started."""
        state, key = self._state, f"{asked.call}{_own(asked.key)}"
        if (found := state.tree.asked_by(asked.turn, key)) is not None:
            return CalledAgent(run=found.run)
        place = self._place(asked)
        if place is None or state.is_stopping or state.status.is_final:
            return CalledAgent(error=ENDED)
        if state.request.depth >= MAX_DEPTH:
            return CalledAgent(
                error=f"no agent was called: this run is {MAX_DEPTH} runs below the first one, which is the limit"
            )
        if key not in self._starting:
            number = sum(self._is_of(each.call, asked.call) for each in state.tree.children) + len(self._starting) + 1
            order = ChildOrder(key, f"{place}.{number}", asked.agent, asked.input, options=asked.options)
            self._starting[key] = asyncio.create_task(self._children.begin(order))
        try:
            started = await asyncio.shield(self._starting[key])
        finally:
            self._starting.pop(key, None)
        if isinstance(started, ToolResult):
            return CalledAgent(error=started.error)
        if self._place(asked) is None:
            await self._end(started)
        return CalledAgent(run=started.run)

    async def end(self, call: ToolCall, result: ToolResult) -> None:
        """Ends the runs that a tool has left behind, now that its call has ended, and adds what all have changed.

        Args:
            call: the call.
            result: its result, which has the newest state of the workspace that the tool itself has changed.
        """
        mine = [each for each in self._state.tree.children if self._is_of(each.call, call.id) and not each.taken]
        mine = [each for each in mine if each.turn == self._state.turns]
        await asyncio.gather(*(self._end(child) for child in mine))
        if made := [snapshot for child in mine for snapshot in self._children.snapshots_of(child)]:
            result.snapshots = [*made, *result.snapshots]

    async def _end(self, child: ChildRun) -> None:
        if not child.status.is_final:
            await self._children.stop(child)
        child.taken = True

    def _place(self, asked: AgentCall) -> int | None:
        """Returns the place of the tool call in the turn; `None` means that it has ended."""
        state = self._state
        if asked.turn != state.turns:
            return None
        calls = zip(state.pending_calls, state.pending_places, strict=True)
        return next((place for call, place in calls if call.id == asked.call), None)

    @staticmethod
    def _is_of(asker: str, call: str) -> bool:
        return asker.startswith(f"{call}{_own('')}")


def _own(key: str) -> str:
    """Returns what tells a call of a tool itself from the call of the tool."""
    return f"#{key}"
