"""Where runs are read from: the mirror, or the history itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from holdfast.errors import MirrorDamaged, RunNotFound
from holdfast.ops.doctor import RunFinder
from holdfast.ops.doctor.recorded_log import UNREADABLE
from holdfast.ops.transfer.chain import Chain
from holdfast.ports import RunLog, Store
from holdfast.types import Entry, MirroredRun, RunId

IDS = 500  # that the mirror is asked for at once
PAGE = 200  # entries, some 0.5 MB as a rule


class RunSource(Protocol):
    """Gives runs with their entries."""

    def ids(self) -> AsyncIterator[RunId]:
        """Every run's id, once."""
        ...

    async def run(self, run_id: RunId) -> MirroredRun | None:
        """A run as it stands; None: there is none of this id.

        Raises:
            MirrorDamaged: it cannot be read.
        """
        ...

    def entries(self, run: MirroredRun) -> AsyncIterator[Entry]:
        """A run's entries up to its head, each proven to follow the one before it.

        Raises:
            MirrorDamaged: they do not lead there, or not any more: what is being written may have changed.
        """
        ...


class MirrorSource:
    """The mirror; needs no Temporal and no worker.

    Args:
        store: holds it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ids(self) -> AsyncIterator[RunId]:
        """See `RunSource.ids`."""
        after: RunId | None = None
        while page := await self._store.run_ids(after, IDS):
            for run_id in page:
                yield run_id
            after = page[-1]

    async def run(self, run_id: RunId) -> MirroredRun | None:
        """See `RunSource.run`."""
        try:
            return await self._store.run(run_id)
        except UNREADABLE as error:
            raise MirrorDamaged(str(error)) from error

    async def entries(self, run: MirroredRun) -> AsyncIterator[Entry]:
        """See `RunSource.entries`."""
        chain = Chain(run)
        while not chain.is_whole:
            wanted = min(PAGE, run.head.seq + 1 - chain.next)
            try:
                page = await self._store.entries(chain.run_id, chain.next - 1, wanted)
            except UNREADABLE as error:
                raise MirrorDamaged(str(error)) from error
            if not page:
                raise MirrorDamaged(f"the mirror of run {chain.run_id!r} lacks entry {chain.next}")
            for entry in page:
                _proven(chain, entry)
                yield entry


class HistorySource:
    """Temporal's history; a worker must run, as it replays it.

    Args:
        finder: finds the runs.
        run_log: reads them.
    """

    def __init__(self, finder: RunFinder, run_log: RunLog) -> None:
        self._finder = finder
        self._log = run_log

    async def ids(self) -> AsyncIterator[RunId]:
        """See `RunSource.ids`."""
        async for run_id in self._finder.all_runs():
            yield run_id

    async def run(self, run_id: RunId) -> MirroredRun | None:
        """See `RunSource.run`."""
        try:
            return (await self._log.snapshot(run_id)).run
        except RunNotFound:
            return None

    async def entries(self, run: MirroredRun) -> AsyncIterator[Entry]:
        """See `RunSource.entries`."""
        chain = Chain(run)
        try:
            async for entry in self._log.entries(chain.run_id):
                if chain.is_whole:
                    break  # the run has gone on
                _proven(chain, entry)
                yield entry
        except RunNotFound as error:
            raise MirrorDamaged(str(error)) from error
        if not chain.is_whole:
            raise MirrorDamaged(f"the history of run {chain.run_id!r} lacks entry {chain.next}")


def _proven(chain: Chain, entry: Entry) -> None:
    try:
        chain.add(entry)
    except ValueError as error:
        raise MirrorDamaged(str(error)) from None
