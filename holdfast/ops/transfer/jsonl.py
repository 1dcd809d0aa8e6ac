"""Writes a bundle: everything that is kept, or some runs."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence

from holdfast.errors import MirrorDamaged
from holdfast.ops.transfer.bundle import BundleWriter
from holdfast.ops.transfer.chain import entry_item, run_item, void_item
from holdfast.ops.transfer.part import Part
from holdfast.ops.transfer.selection import Selection
from holdfast.ops.transfer.sources import RunSource
from holdfast.types import MirroredRun, RunId

ATTEMPTS = 3  # at a run whose mirror is rewritten while it is read


class JsonlExport:
    """Writes items as they are read, so that memory does not grow with what there is.

    Args:
        writer: takes them.
        tell: is called now and then with what has been done so far.
    """

    def __init__(self, writer: BundleWriter, tell: Callable[[BundleWriter], None] = lambda _: None) -> None:
        self._writer = writer
        self._tell = tell
        self.runs = 0
        """That are whole in the file."""
        self.skipped: dict[RunId, str] = {}
        """Runs that cannot be read, and why."""

    async def parts(self, parts: Sequence[Part]) -> None:
        """Writes everything of some parts."""
        for part in parts:
            async for item in part.dump():
                self._writer.add(item)
                self._tell(self._writer)

    async def write_runs(self, source: RunSource, ids: AsyncIterable[RunId], selection: Selection) -> None:
        """Writes runs with their entries; what cannot be read is in `skipped`."""
        async for run_id in ids:
            for _ in range(ATTEMPTS):
                if await self._is_done(source, run_id, selection):
                    break

    async def _is_done(self, source: RunSource, run_id: RunId, selection: Selection) -> bool:
        run: MirroredRun | None = None
        try:
            run = await source.run(run_id)
            if run is not None and selection.takes(run.summary):
                await self._write(source, run)
                self.runs += 1
        except MirrorDamaged as error:
            self.skipped[run_id] = str(error)
            if run is not None:
                self._writer.add(void_item(run_id, str(error)))
            return False
        self.skipped.pop(run_id, None)
        return True

    async def _write(self, source: RunSource, run: MirroredRun) -> None:
        self._writer.add(run_item(run))
        async for entry in source.entries(run):
            self._writer.add(entry_item(run.summary.run_id, entry))
            self._tell(self._writer)
