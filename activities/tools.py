"""Activities that call tools, one activity type for each tool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from cachetools import FIFOCache
from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast._util.logger import get_logger
from holdfast._util.raised import raised
from holdfast.activities.agent_calls import CallingTool
from holdfast.activities.attached import ImageKeeper
from holdfast.activities.call_stages import CallStages
from holdfast.activities.claims import NotBegun
from holdfast.activities.failures import EXPECTED, not_served
from holdfast.activities.finished import NEXT_ATTEMPT, FinishedCalls
from holdfast.activities.heartbeat import given_up, heartbeats, stopped_by_user
from holdfast.activities.kept_workspaces import KeptWorkspaces
from holdfast.activities.ledger_calls import LATE_RESULT, LedgerCalls
from holdfast.activities.lifespans import Lifespans
from holdfast.activities.result_cut import cut
from holdfast.activities.slots import AgentSlots, Slot
from holdfast.activities.tool_channel import CallChannel
from holdfast.activities.tool_context import tool_context
from holdfast.activities.tool_runner import BeginGuard, ToolRunner
from holdfast.activities.tool_threads import UnfinishedCall
from holdfast.agents.agent import Agent
from holdfast.agents.tool import CallLost, CallNotHeld, Tool, ToolContext, ToolError
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.agents.wrappers import WrappedTool
from holdfast.call_progress import ToolProgress
from holdfast.errors import ErrorType
from holdfast.http_access import HttpAccess
from holdfast.invocations import ToolInvocation
from holdfast.ports import EventBus
from holdfast.ports.agent_calls import AgentCalls
from holdfast.ports.event_topics import EventTopics
from holdfast.ports.memory_files import MemoryFolders
from holdfast.ports.retrieval import TextMemoryProtocol
from holdfast.ports.sandbox import SandboxProtocol
from holdfast.ports.stages import StageReports
from holdfast.ports.telemetry import NoTelemetry, Telemetry
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.types import ToolResult
from holdfast.workspaces.keeper import WorkspaceKeeper

log = get_logger(__name__)

CALLS_TOOLS = Tool.start.__code__.co_filename
TOOL_ERROR = "tool_error"  # the kind of all errors that tools raise, as telemetry reports it
MAX_FILES = 1000  # listed with the error if a result is too large
MAX_STOPPED = 1000  # calls, of which a run usually hears at once


class ToolActivity:
    """One tool as an activity. Its errors are returned to the model and do not fail the run."""

    def __init__(
        self,
        tool: Tool,
        *,
        find: Callable[[str], Agent | None],
        runner: ToolRunner,
        ledger: LedgerCalls,
        slots: AgentSlots,
        finished: FinishedCalls,
        limits: PayloadLimits,
        roots: WorkspaceRoots,
        bus: EventBus,
        topics: EventTopics,
        agents: AgentCalls,
        stages: StageReports,
        images: ImageKeeper,
        memories: TextMemoryProtocol | None = None,
        max_result: int | None = None,
        sandbox: SandboxProtocol | None = None,
        http: HttpAccess | None = None,
        telemetry: Telemetry | None = None,
        lifespans: Lifespans | None = None,
        keeper: WorkspaceKeeper | None = None,
        folders: MemoryFolders | None = None,
        own_queue: str | None = None,
    ) -> None:
        self._tool = tool
        self._find = find
        self._runner = runner
        self._ledger = ledger
        self._slots = slots
        self._finished = finished
        self._limits = limits
        self._roots = roots
        self._bus = bus
        self._topics = topics
        self._agents = agents
        self._stages = stages
        self._images = images
        self._memories = memories
        self._max_result = max_result
        self._http = http
        self._telemetry = telemetry or NoTelemetry()
        self._channels: dict[str, CallChannel] = {}
        """Of the calls that are running, by their task in Temporal."""
        self._held: dict[str, Slot] = {}
        """Likewise."""
        self._stopped: FIFOCache[str, ToolContext] = FIFOCache(MAX_STOPPED)
        """Of the calls that were cancelled, with what they had asked for, likewise."""
        self._sandbox = sandbox
        self._lifespans = lifespans
        self._folders = folders
        self._own_queue = own_queue
        self._workspaces = KeptWorkspaces(keeper, is_cut=max_result is not None)

    def definition(self) -> Callable[..., Any]:
        """Returns the activity to register, under the tool's own type."""

        @activity.defn(name=self._tool.spec.activity)
        async def call(invocation: ToolInvocation) -> ToolResult:
            return await self._finished.once(lambda: self.call(invocation))

        return call

    async def call(self, invocation: ToolInvocation) -> ToolResult:
        """Calls the tool, or joins the call of an earlier attempt that Temporal gave up.

        Raises:
            ApplicationError: only if Temporal shall retry, which the tool must allow; or of type NotServed, if another
                worker has the functions around the call.
        """
        self._check_wrappers(invocation)
        started = time.monotonic()
        try:
            async with heartbeats(self._progress):
                alone_for = LATE_RESULT if invocation.claim else NEXT_ATTEMPT
                result = await self._finished.joined(lambda: self._in_slot(invocation), alone_for)
        except asyncio.CancelledError:
            if not stopped_by_user():
                reason = "Temporal gave up this attempt" if given_up() else "the worker was shut down"
                raise ApplicationError(
                    f"{reason} while the tool ran", type=ErrorType.CALL_LOST, category=EXPECTED
                ) from None
            result = ToolResult(error="the run was stopped while this tool ran")
            if (stopped := self._stopped.pop(_call_id(), None)) is not None:
                result = stopped.marks.mark(result)
            result.seconds = _seconds_since(started)
        if (attempt := activity.info().attempt) > 1:
            result.attempts = attempt
        return result

    def _check_wrappers(self, invocation: ToolInvocation) -> None:
        agent = self._find(invocation.agent) if invocation.wrappers else None
        found = {wrapper.name for wrapper in agent.tool_wrappers} if agent else set()
        if missing := [name for name in invocation.wrappers if name not in found]:
            raise not_served(f"{missing[0]!r}, which wraps the tool calls of agent {invocation.agent!r}")

    async def _in_slot(self, invocation: ToolInvocation) -> ToolResult:
        if invocation.alone:
            return await self._result(invocation)
        async with self._slots.hold(invocation.run_id) as slot:
            slot.keep()  # for the model, which reads the result
            call = _call_id()
            self._held[call] = slot
            try:
                return await self._result(invocation)
            finally:
                if self._held.get(call) is slot:  # else a later attempt has begun
                    del self._held[call]

    async def _result(self, invocation: ToolInvocation) -> ToolResult:
        async with self._workspaces.held(invocation, self._tool) as workspace:

            async def make(invocation: ToolInvocation, claim: BeginGuard | None) -> ToolResult:
                result = await self._made(invocation, claim)
                await self._workspaces.record(workspace, self._tool, result)
                return result

            if invocation.claim or invocation.lost:
                context = self._context(invocation)
                result = await self._ledger.result(self._tool, invocation, context, make)
            else:
                result = await make(invocation, None)
        await self._limits.settle(result)
        return result

    async def _made(self, invocation: ToolInvocation, claim: BeginGuard | None) -> ToolResult:
        started = time.monotonic()
        with self._telemetry.tool_call(invocation, self._tool.spec) as observation:
            try:
                result = self._within_limits(await self._attempt(invocation, claim))
            except NotBegun:
                observation.not_made()
                raise
            except ApplicationError:
                observation.failed(TOOL_ERROR)
                raise
            result.seconds = _seconds_since(started)
            if result.elicitation is not None and result.elicitation.state is None:
                result.elicitation.held_in = self._own_queue
            observation.returned(result)
        return result

    def _within_limits(self, result: ToolResult) -> ToolResult:
        size = self._limits.excess(result)
        if size is None:
            return result
        advice = "return less, or write a file"
        kept = ToolResult(
            error=f"the result has {size:,} bytes; the maximum is {self._limits.max_bytes:,}: {advice}",
            files=result.files[:MAX_FILES],
        )
        if result.checkpoints:
            kept.checkpoints = result.checkpoints
            if self._limits.excess(kept) is not None:
                log.warning(
                    "the data of a call's checkpoints is left out, as it is too large", tool=self._tool.spec.name
                )
                kept.checkpoints = [made.model_copy(update={"data": None}) for made in result.checkpoints]
        return kept

    async def _attempt(self, invocation: ToolInvocation, claim: BeginGuard | None) -> ToolResult:
        channel = CallChannel(
            invocation, activity.info().attempt, self._bus, self._topics, self._call_stages(invocation)
        )
        context, limit = self._context(invocation, channel), self._tool.spec.max_result or self._max_result
        call = _call_id()
        self._channels[call] = channel
        try:
            result = await self._attempt_in(context, invocation.call.arguments, claim)
        except ApplicationError:
            await channel.drain()
            raise
        except asyncio.CancelledError:
            self._stopped[call] = context
            raise
        finally:
            if self._channels.get(call) is channel:  # else a later attempt has begun
                del self._channels[call]
        await channel.drain()
        for fault in context.marks.faults:
            log.warning(
                "a tool has told something that cannot be kept as it is", tool=self._tool.spec.name, reason=fault
            )
        result = context.marks.mark(await cut(result, limit, context))
        await self._images.keep(result, context.marks.images)
        return result

    def _call_stages(self, invocation: ToolInvocation) -> CallStages | None:
        if invocation.alone:
            return None
        return CallStages(self._stages, invocation.run_id, activity.info().workflow_run_id or "")

    def _progress(self) -> ToolProgress | None:
        """Returns the details of a heartbeat, also of an attempt that has joined the call of an earlier one."""
        channel = self._channels.get(_call_id())
        return None if channel is None else channel.newest

    async def _attempt_in(self, context: ToolContext, arguments: str, claim: BeginGuard | None) -> ToolResult:
        spec, attempt = self._tool.spec, activity.info().attempt
        try:
            if self._lifespans:
                await self._lifespans.enter(context.agent)
            agent = self._find(context.agent)
            wrappers = agent.tool_wrappers if agent else ()
            tool = WrappedTool(self._tool, wrappers) if wrappers else self._tool
            return await self._runner.call(tool, arguments, context, claim)
        except NotBegun:
            raise
        except CallLost as error:
            log.warning("a tool call was lost", tool=spec.name, attempt=attempt, reason=str(error))
            raise ApplicationError(str(error), type=ErrorType.CALL_LOST, category=EXPECTED) from None
        except CallNotHeld as error:
            raise ApplicationError(str(error), type=ErrorType.NOT_HELD, non_retryable=True, category=EXPECTED) from None
        except UnfinishedCall as error:  # has been logged where the call ran
            return ToolResult(error=str(error))
        except ToolError as error:
            reason = str(error)
            log.warning("tool failed", tool=spec.name, attempt=attempt, reason=reason)
        except Exception as error:
            reason = raised(error)
            log.warning("tool failed", tool=spec.name, attempt=attempt, reason=reason, exc_info=_from_tool(error))
        if spec.repeatable and attempt <= spec.retries:
            raise ApplicationError(reason, category=EXPECTED)  # logged here; the SDK would log it once more
        return ToolResult(error=reason)

    def _context(self, invocation: ToolInvocation, channel: CallChannel | None = None) -> ToolContext:
        return tool_context(
            invocation,
            roots=self._roots,
            memories=self._memories,
            channel=channel,
            sandbox=self._sandbox,
            http=self._http,
            folders=self._folders,
            agents=CallingTool(invocation, self._agents, self._slots, self._held.get(_call_id())),
        )


def _call_id() -> str:
    info = activity.info()
    return f"{info.workflow_run_id}/{info.activity_id}"


def _seconds_since(started: float) -> float:
    """Returns the time that a tool ran; it is never 0, which means that the tool was not called."""
    return max(round(time.monotonic() - started, 3), 0.001)


def _from_tool(error: Exception) -> Exception:
    """Returns an error whose traceback begins in the tool's own code, if it comes from there."""
    own, frames = None, error.__traceback__
    while frames:
        if frames.tb_frame.f_code.co_filename == CALLS_TOOLS:
            own = frames.tb_next
        frames = frames.tb_next
    return error.with_traceback(own) if own else error
