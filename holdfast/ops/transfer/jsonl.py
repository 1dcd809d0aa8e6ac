"""Export to a bundle: everything, or selected runs."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence

from holdfast.errors import MirrorDamaged
from holdfast.ops.transfer.bundle import BundleWriter, Item
from holdfast.ops.transfer.chain import entry_item, run_item, void_item
from holdfast.ops.transfer.part import Part
from holdfast.ops.transfer.selection import Selection
from holdfast.ops.transfer.sources import RunSource
from holdfast.types import MirroredRun, RunId

ATTEMPTS = 3  # to read a run whose mirror is rewritten meanwhile


class JsonlExport:
    """Writes items as they are read, so that the use of memory is constant.

    Args:
        writer: writes the items.
        on_progress: called with the writer after each item.
    """

    def __init__(self, writer: BundleWriter, on_progress: Callable[[BundleWriter], None] = lambda _: None) -> None:
        self._writer = writer
        self._on_progress = on_progress
        self.runs = 0
        """Number of complete runs in the file."""
        self.attached: dict[str, None] = {}
        """Digests of the attachments of these runs."""
        self.skipped: dict[RunId, str] = {}
        """Runs that cannot be read, with the reasons."""

    async def parts(self, parts: Sequence[Part]) -> None:
        """Writes all items of these parts."""
        for part in parts:
            await self.items(part.dump())

    async def items(self, items: AsyncIterable[Item]) -> None:
        """Writes items."""
        async for item in items:
            self._writer.add(item)
            self._on_progress(self._writer)

    async def write_runs(self, source: RunSource, ids: AsyncIterable[RunId], selection: Selection) -> None:
        """Writes runs with their entries; runs that cannot be read are listed in `skipped`."""
        async for run_id in ids:
            for _ in range(ATTEMPTS):
                if await self._is_done(source, run_id, selection):
                    break

    async def _is_done(self, source: RunSource, run_id: RunId, selection: Selection) -> bool:
        run: MirroredRun | None = None
        try:
            run = await source.run(run_id)
            if run is not None and selection.includes(run.summary):
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
            attached = entry.message.attachments if entry.message else []
            self.attached.update(dict.fromkeys(each.digest for each in attached if each.digest))
            self._on_progress(self._writer)
