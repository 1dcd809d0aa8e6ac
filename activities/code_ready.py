"""The activity by which a process shows that it is there."""

from __future__ import annotations

from temporalio import activity

from holdfast import names


@activity.defn(name=names.CODE_READY)
async def code_ready() -> bool:
    """Returns True; runs whose agent's code only this process has wait for it."""
    return True
