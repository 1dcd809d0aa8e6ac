"""The catch-all for activities that this worker does not serve under their type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity
from temporalio.common import RawValue

from holdfast._util.logger import get_logger
from holdfast.activities.failures import unknown_activity
from holdfast.activities.tools import ToolActivity
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.tool import Tool
from holdfast.invocations import ToolInvocation
from holdfast.names import TOOL_PREFIX
from holdfast.types import ToolResult

log = get_logger(__name__)


class UnservedActivities:
    """Calls a tool whose type has changed since its run began, and refuses what this worker does not serve.

    The type of a tool changes when another agent gets, or loses, a tool of the same name.
    """

    def __init__(self, catalog: AgentCatalog, serve: Callable[[Tool], ToolActivity]) -> None:
        self._catalog = catalog
        self._serve = serve

    def definition(self) -> Callable[..., Any]:
        """Returns the activity to register."""

        @activity.defn(dynamic=True)
        async def unserved(arguments: Sequence[RawValue]) -> ToolResult:
            return await self._call(arguments)

        return unserved

    async def _call(self, arguments: Sequence[RawValue]) -> ToolResult:
        """Calls the tool that the run's agent knows by the name of the call.

        Raises:
            ApplicationError: of type NotServed; the run waits for a worker that serves the call.
        """
        kind = activity.info().activity_type
        if kind.startswith(TOOL_PREFIX) and len(arguments) == 1:
            invocation = activity.payload_converter().from_payload(arguments[0].payload, ToolInvocation)
            if found := self._catalog.tool_of(invocation.agent, invocation.call.name):
                return await self._serve(found).call(invocation)
        log.warning("this worker does not serve an activity that a run calls", activity=kind)
        raise unknown_activity(kind)
