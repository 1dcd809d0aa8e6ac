"""The activity that decides whether a call needs a person's approval."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio import activity

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.failures import unknown_activity
from holdfast.activities.tool_context import tool_context
from holdfast.activities.tool_runner import ToolRunner
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.tool import Tool
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.invocations import ToolInvocation

log = get_logger(__name__)

NEEDS_NONE = "false"  # what False is as the result of a tool


class ApprovalActivities:
    """Evaluates the conditions of tools.

    Args:
        catalog: the tools of this worker.
        runner: calls the conditions, so that one that blocks does not stop the worker.
        roots: see `ToolContext.roots`.
    """

    def __init__(self, catalog: AgentCatalog, runner: ToolRunner, roots: WorkspaceRoots) -> None:
        self._catalog = catalog
        self._tools: Mapping[str, Tool] = catalog.tools()
        self._runner = runner
        self._roots = roots

    @activity.defn(name=names.APPROVAL_CHECK)
    async def check(self, kind: str, invocation: ToolInvocation) -> bool:
        """Returns whether a call needs a person's approval, which it does unless its tool's condition says False.

        Args:
            kind: activity type of the tool.
            invocation: the call. Arguments that do not match the tool need approval.

        Raises:
            ApplicationError: of type NotServed; another worker may have the tool.
        """
        tool = self._tools.get(kind) or self._catalog.tool_of(invocation.agent, invocation.call.name)
        if tool is None:
            raise unknown_activity(kind)
        if (condition := tool.condition) is None:
            return tool.spec.approval != "never"
        try:
            context = tool_context(invocation, roots=self._roots)
            said = await self._runner.call(condition, invocation.call.arguments, context)
        except Exception as error:  # noqa: BLE001 - code of the user; a call that nothing clears needs approval
            log.warning("a condition failed, so a person is asked", tool=tool.spec.name, reason=repr(error))
            return True
        return said.error is not None or said.content != NEEDS_NONE
