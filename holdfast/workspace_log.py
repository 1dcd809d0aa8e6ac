"""The state of a run's workspace at each point of its log. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.types import Entry
from holdfast.workspace_states import WorkspacePoint, WorkspaceSnapshot


def workspace_at(entries: Sequence[Entry], seq: int | None = None) -> WorkspacePoint:
    """Returns the state of the workspace at a point of a log; it has no heads if Holdfast does not keep the workspace.

    Args:
        entries: the log from entry 0, also after the point.
        seq: the newest entry before the point; `None` means the last one.
    """
    if not entries:
        return WorkspacePoint()
    request = entries[0].data.get("request", {})
    if request.get("workspace") and not request.get("own_workspace"):
        return WorkspacePoint()
    points = [WorkspacePoint.model_validate(request.get("kept") or {})]
    for entry in entries[1:]:
        point = points[-1]
        if snapshots := snapshots_in(entry):
            point = point.with_snapshots(snapshots)
        elif entry.kind == "restored":
            point = point.gone_back(points[entry.data["to"]], entry.seq)
        points.append(point)
    return points[-1 if seq is None else seq]


def snapshots_in(entry: Entry) -> list[WorkspaceSnapshot]:
    """Returns the snapshots of the workspace that an entry records."""
    if entry.kind != "tool_result":
        return []
    return [WorkspaceSnapshot.model_validate(each) for each in entry.data.get("snapshots", ())]
