"""Calls of agents by the function of a tool, while it runs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from typing_extensions import override

from holdfast.activities.slots import AgentSlots, Slot
from holdfast.agent_result import AgentResult
from holdfast.agents.readers import reader_of
from holdfast.agents.tool_context import AgentCaller
from holdfast.children import AgentCall
from holdfast.errors import UsageError
from holdfast.invocations import ToolInvocation
from holdfast.ports.agent_calls import AgentCalls
from holdfast.types import AgentSpec, RunResult


class CallingTool(AgentCaller):
    """The calls of agents that one attempt of a tool call makes, in any thread; the worker's loop does the work.

    A call is known by what is asked, and how often it was asked before in the attempt. So a later attempt finds the
    runs that an earlier one has started, in whatever order it calls them.

    Args:
        invocation: the tool call.
        calls: makes the calls.
        slots: the slots of the worker.
        slot: the one that the call holds, which it gives back while it waits for other runs; `None` means none.
    """

    def __init__(self, invocation: ToolInvocation, calls: AgentCalls, slots: AgentSlots, slot: Slot | None) -> None:
        self._invocation = invocation
        self._calls = calls
        self._slots = slots
        self._slot = slot
        self._loop = asyncio.get_running_loop()
        self._asked: Counter[str] = Counter()
        self._waiting = 0
        """Number of calls that have not ended."""
        self._lent = AsyncExitStack()

    @override
    async def call(self, agent: Any, given: Any, options: Mapping[str, Any], *, folder: Path) -> AgentResult:
        if self._invocation.alone:
            raise UsageError("call_agent needs a run, and this tool was called without one; use Agent.run instead")
        call = self._made(agent, given, dict(options), folder)
        result = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))
        readers = reader_of(agent)
        return AgentResult.from_run(result, readers.of(result.active_agent) if readers else None)

    async def _made(self, agent: Any, given: Any, options: dict[str, Any], folder: Path) -> RunResult:
        invocation, found = self._invocation, await self._calls.reference(agent)
        text, further = _divided(await self._calls.asked(given, folder))
        asked = AgentCall(
            call=invocation.call.id,
            turn=invocation.turn,
            key=self._key(found, text, further),
            agent=found,
            input=text,
            options=options | further,
        )
        async with self._without_slot():
            return await self._calls.call(invocation.run_id, asked)

    def _key(self, agent: str | AgentSpec, text: str, further: Mapping[str, Any]) -> str:
        """Returns what identifies a call within the tool call."""
        name = agent if isinstance(agent, str) else agent.name
        asked = [name, text, further] if further else [name, text]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        self._asked[digest] += 1
        return f"{digest}.{self._asked[digest]}"

    @asynccontextmanager
    async def _without_slot(self) -> AsyncIterator[None]:
        """Gives the slot of the run back while any of the calls has not ended."""
        self._waiting += 1
        if self._waiting == 1 and self._slot is not None:
            await self._lent.enter_async_context(self._slots.lend(self._invocation.run_id, self._slot))
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                await self._lent.aclose()


def _divided(fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the text of an input, and the further fields of a request that it sets."""
    return str(fields["input"]), {name: value for name, value in fields.items() if name != "input"}
