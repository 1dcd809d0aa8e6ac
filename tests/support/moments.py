"""Moments of runs that tests wait for."""

from __future__ import annotations

import asyncio

from holdfast import RunHandle, RunStatus, TextDelta
from tests.support.lab import Lab, eventually


async def has_status(handle: RunHandle, *statuses: RunStatus) -> None:
    """Waits until a run exists and has one of these statuses."""

    async def reached() -> bool:
        return (await handle.status()).status in statuses

    await eventually(reached)


async def streaming(handle: RunHandle) -> None:
    """Waits until the model of a run is in the middle of its answer."""
    async for event in handle.events():
        if isinstance(event, TextDelta):
            return
    raise AssertionError("the run ended before the model said a word")


async def continued(lab: Lab, handle: RunHandle) -> None:
    """Makes a run that waits continue as new, by signals that it does not know, and waits until it has."""
    temporal = lab.client.get_workflow_handle(handle.id)
    first = (await temporal.describe()).run_id

    async def is_new() -> bool:
        await asyncio.gather(*(temporal.signal("nonsense") for _ in range(40)))
        await eventually(is_mirrored)  # Temporal takes no continue-as-new while new signals arrive
        return (await temporal.describe()).run_id != first

    async def is_mirrored() -> bool:
        progress = await handle.status()
        return progress.head == progress.mirrored

    await eventually(is_new)
