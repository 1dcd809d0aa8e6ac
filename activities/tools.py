"""Activities that call tools, one activity type for each tool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast.activities.finished import FinishedCalls
from holdfast.activities.heartbeat import heartbeats, stopped_by_user
from holdfast.activities.slots import AgentSlots
from holdfast.agents.tool import Tool, ToolContext, ToolError
from holdfast.ports.retrieval import TextMemoryProtocol
from holdfast.protocol import ToolInvocation
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.types import ToolResult, ToolSpec

log = structlog.get_logger()

MAX_FILES = 1000  # listed with the error if a result is too large


class ToolActivity:
    """One tool as an activity. Its errors are returned to the model and do not fail the run."""

    def __init__(
        self,
        tool: Tool,
        slots: AgentSlots,
        finished: FinishedCalls,
        limits: PayloadLimits,
        memories: TextMemoryProtocol | None = None,
    ) -> None:
        self._tool = tool
        self._slots = slots
        self._finished = finished
        self._limits = limits
        self._memories = memories

    def definition(self) -> Callable[..., Any]:
        """Returns the activity to register, under the tool's own type."""

        @activity.defn(name=self._tool.spec.activity)
        async def call(invocation: ToolInvocation) -> ToolResult:
            return await self._finished.once(lambda: self.call(invocation))

        return call

    async def call(self, invocation: ToolInvocation) -> ToolResult:
        """Calls the tool.

        Raises:
            ApplicationError: only if Temporal shall retry, which the tool must allow.
        """
        started = time.monotonic()
        try:
            async with heartbeats(), self._slots.hold(invocation.run_id):
                started = time.monotonic()
                result = self._within_limits(await self._attempt(invocation))
                await self._limits.settle(result)
        except asyncio.CancelledError:
            if not stopped_by_user():
                raise ApplicationError("the worker was shut down while the tool ran") from None
            result = ToolResult(error="the run was stopped while this tool ran")
        result.seconds = round(time.monotonic() - started, 3)
        if (attempt := activity.info().attempt) > 1:
            result.attempts = attempt
        return result

    def _within_limits(self, result: ToolResult) -> ToolResult:
        size = self._limits.excess(result)
        if size is None:
            return result
        advice = "return less, or write a file"
        return ToolResult(
            error=f"the result has {size:,} bytes; the maximum is {self._limits.max_bytes:,}: {advice}",
            files=result.files[:MAX_FILES],
        )

    async def _attempt(self, invocation: ToolInvocation) -> ToolResult:
        spec = self._tool.spec
        try:
            async with asyncio.timeout(spec.timeout) as limit:
                return await self._tool.call(invocation.call.arguments, self._context(invocation))
        except Exception as error:
            if limit.expired():
                return ToolResult(error=f"the tool did not end within {spec.timeout:g} s")
            reason = str(error) if isinstance(error, ToolError) else f"{type(error).__name__}: {error}"
            attempt = activity.info().attempt
            log.warning("tool failed", tool=spec.name, attempt=attempt, reason=reason)
            if _may_retry(spec, attempt):
                raise ApplicationError(reason) from error
            return ToolResult(error=reason)

    def _context(self, invocation: ToolInvocation) -> ToolContext:
        return ToolContext(
            run_id=invocation.run_id,
            call_id=invocation.call.id,
            agent=invocation.agent,
            turn=invocation.turn,
            attempt=activity.info().attempt,
            workspace=Path(invocation.workspace or "."),
            memories=self._memories,
        )


def _may_retry(spec: ToolSpec, attempt: int) -> bool:
    return spec.repeatable and attempt <= spec.retries
