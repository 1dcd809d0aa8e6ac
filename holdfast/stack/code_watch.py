"""Watch over the source files that the parts of a stack have loaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from watchfiles import PythonFilter, awatch

from holdfast.settings import Settings
from holdfast.stack.serving import Serving
from holdfast.stack.state import StateFile

DEBOUNCE = 400  # milliseconds within which several changes count as one; editors write a file in several steps
WATCH_INTERVAL = 1_000  # milliseconds after which a change is noticed that came before the watch had begun
RETRY_INTERVAL = 0.3  # seconds between looks while no worker has reported what it has loaded


async def changed_code(settings: Settings) -> AsyncIterator[None]:
    """Yields after each change of the code of the worker or the scripted model server, until it is cancelled.

    Files that they have loaded, and others in their folders, may change; it yields only if one of them serves older
    code than the files now, or if there is no worker, as it could not load them.
    """
    home = settings.holdfast_home.absolute()

    def serving() -> Serving | None:
        state = StateFile(home).read()
        worker, model = (Serving.read(home, state.alive(name)) for name in ("worker", "model"))
        return worker.model_copy(update={"files": model.files | worker.files}) if worker and model else worker

    async for _ in changes(serving):
        yield


async def changes(serving: Callable[[], Serving | None]) -> AsyncIterator[Serving]:
    """Yields what a worker serves whenever that differs from the files: once for a new worker, then after each change.

    Args:
        serving: returns what the current worker serves; `None` if there is none, or it has not loaded its code yet.
    """
    seen: Serving | None = None
    times: list[int] = []
    while True:
        current = serving()
        if current is None:
            if await _changes_meanwhile(seen) and seen is not None:
                yield seen
            continue
        if current == seen:
            await _next_change(current, times)
        seen, times = current, _times(current)
        if current.changed_files():
            yield current


async def _next_change(serving: Serving, times: list[int]) -> None:
    """Waits for a change after that of the times, also for one that came before the watch had begun."""
    folders = sorted({path.parent for path in map(Path, serving.files) if path.parent.is_dir()})
    watch = awatch(
        *folders, recursive=False, watch_filter=PythonFilter(), debounce=DEBOUNCE,
        rust_timeout=WATCH_INTERVAL, yield_on_timeout=True,
    )  # fmt: skip
    async for found in watch:
        if found or _times(serving) != times:
            return


async def _changes_meanwhile(seen: Serving | None) -> bool:
    """Waits a moment, in which a new worker may start, and returns whether its files have changed."""
    before = _times(seen)
    await asyncio.sleep(RETRY_INTERVAL)
    return _times(seen) != before


def _times(serving: Serving | None) -> list[int]:
    files = map(Path, serving.files) if serving else ()
    return [file.stat().st_mtime_ns if file.exists() else 0 for file in files]
