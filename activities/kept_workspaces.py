"""Workspaces of tool calls: restored before a call if need be, and recorded after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED
from holdfast.agents.tool import Tool
from holdfast.errors import ErrorType, PayloadUnreadable
from holdfast.invocations import ToolInvocation
from holdfast.types import ToolResult
from holdfast.workspace_states import WorkspacePoint
from holdfast.workspaces.keeper import HeldWorkspace, WorkspaceKeeper, WorkspaceNotReady

log = get_logger(__name__)

RESERVE = 5.0  # seconds of an attempt that are left when a restoration or a snapshot gives up
LONGEST = 120.0  # seconds of one snapshot; the call of the tool has ended, and its run waits
SHORTEST = 3.0  # seconds, also if the tool has used up its time


class KeptWorkspaces:
    """Holds the workspaces of calls.

    Args:
        keeper: keeps the workspaces; `None` means that this process has no store for them.
        is_cut: whether the results of all tools have a limit, so that long ones are kept in workspaces.
    """

    def __init__(self, keeper: WorkspaceKeeper | None, *, is_cut: bool) -> None:
        self._keeper = keeper
        self._is_cut = is_cut

    @asynccontextmanager
    async def held(self, invocation: ToolInvocation, tool: Tool) -> AsyncIterator[HeldWorkspace | None]:
        """Restores the workspace of a call if it lacks something; `None` means that the call has none that is kept.

        Raises:
            ApplicationError: it cannot be restored, and the call has not begun; of type WorkspaceNotReady if it may be
                restored later.
        """
        name, point = invocation.own_workspace, invocation.kept or WorkspacePoint()
        may_use = tool.knows_context or bool(invocation.wrappers) or self._is_cut or tool.spec.max_result is not None
        if name is None or invocation.alone or not may_use or (self._keeper is None and not point.heads):
            yield None
            return
        if self._keeper is None:
            raise _not_ready("this process has no store for files", tool)
        changes = not tool.spec.read_only or self._is_cut
        try:
            workspace = await self._keeper.hold(
                invocation.run_id, name, point, changes=changes, seconds=_seconds_left()
            )
        except WorkspaceNotReady as error:
            raise _not_ready(str(error), tool) from None
        except PayloadUnreadable as error:
            raise ApplicationError(
                f"not called: the files of the workspace cannot be restored: {error}",
                type=ErrorType.INTERNAL,
                non_retryable=True,
                category=EXPECTED,
            ) from None
        try:
            yield workspace
        finally:
            workspace.release()

    async def record(self, workspace: HeldWorkspace | None, tool: Tool, result: ToolResult) -> None:
        """Adds the state of the workspace after a call to its result, if the run does not know it."""
        if workspace is None:
            return
        changed = not tool.spec.read_only or bool(result.left_out)
        snapshot = await workspace.record(changed=changed, seconds=_seconds_left())
        if snapshot is not None:
            result.snapshots = [snapshot]


def _seconds_left() -> float:
    """Returns how long something may take within this attempt."""
    info = activity.info()
    limit = info.start_to_close_timeout
    if limit is None:
        return LONGEST
    left = limit - (datetime.now(UTC) - info.started_time)
    return min(max(left.total_seconds() - RESERVE, SHORTEST), LONGEST)


def _not_ready(reason: str, tool: Tool) -> ApplicationError:
    log.warning("the workspace of a call cannot be restored now", tool=tool.spec.name, reason=reason)
    return ApplicationError(
        f"not called: the files of the workspace cannot be restored now: {reason}",
        type=ErrorType.WORKSPACE_NOT_READY,
        non_retryable=True,
        category=EXPECTED,
    )
