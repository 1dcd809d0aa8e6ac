"""The current step of a run, which a command can stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from temporalio import workflow


class Step:
    """Runs one step at a time: a model call, or the tool calls of a turn."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self.is_stopped = False
        """Whether the current step was stopped."""

    async def run(self, step: Coroutine[Any, Any, None]) -> None:
        """Runs a step until it ends or is stopped; a cancel of the run stops it too."""
        task = self._task = asyncio.create_task(step)
        self.is_stopped = False
        while not task.done():
            try:
                await workflow.wait([task])
            except asyncio.CancelledError:
                self.stop()
        if not task.cancelled():
            task.result()

    def stop(self) -> None:
        """Stops the current step, if there is one: its calls are cancelled, and their partial results are recorded."""
        if self._task is not None and not self._task.done() and not self.is_stopped:
            self.is_stopped = True  # a second cancel would discard the partial results of the first
            self._task.cancel()
