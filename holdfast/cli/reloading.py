"""A worker in the foreground that is restarted gracefully when its code changes."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

from holdfast.cli.render.output import Output
from holdfast.errors import UsageError
from holdfast.stack.check import check_worker
from holdfast.stack.code_watch import changes
from holdfast.stack.serving import FILE_VARIABLE, Serving, shown_files
from holdfast.stack.worker import command


async def run_reloading(out: Output) -> int:
    """Runs workers one after the other until one ends by itself or this process is told to end; returns the exit code.

    Args:
        out: receives what has changed, and why it cannot be loaded.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-worker-") as folder:
        worker = ReloadingWorker(out, Path(folder) / "worker.json")
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await worker.run()
        except asyncio.CancelledError:
            return 0


class ReloadingWorker:
    """The worker that runs at the moment.

    Args:
        out: receives what has changed, and why it cannot be loaded.
        file: where the worker writes what it has loaded.
    """

    def __init__(self, out: Output, file: Path) -> None:
        self._out = out
        self._file = file
        self._variables = {**os.environ, FILE_VARIABLE: str(file)}
        self._process: Process | None = None
        self._is_replacing = False

    async def run(self) -> int:
        """Runs workers until one ends by itself, and returns its exit code."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                self._process = await asyncio.create_subprocess_exec(*command(), env=self._variables)
                self._is_replacing = False
                code = await self._process.wait()
                if not self._is_replacing:
                    return code
        finally:
            watching.cancel()
            await self._stop()

    async def _watch(self) -> None:
        async for serving in changes(lambda: Serving.load(self._file)):
            if self._process is None or serving.pid != self._process.pid:
                continue
            self._out.note(f"changed: {shown_files(serving.changed_files())}")
            try:
                await check_worker(self._variables, replaces=self._process.pid)
            except UsageError as error:
                self._out.error(f"{error}. The worker keeps the code that it has")
                continue
            self._out.note("restarting the worker; its runs resume automatically")
            self._is_replacing = True
            await self._stop()

    async def _stop(self) -> None:
        """Lets calls in flight end; Ctrl-C has reached the worker too."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
