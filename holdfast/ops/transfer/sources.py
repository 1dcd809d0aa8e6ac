"""Sources of runs to export: the mirror, or Temporal's history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from typing_extensions import override

from holdfast.errors import MirrorDamaged, RunNotFound, WorkerUnavailable
from holdfast.ops.doctor import RunFinder
from holdfast.ops.doctor.recorded_log import UNREADABLE
from holdfast.ops.transfer.chain import Chain
from holdfast.ports import RunLog, Store
from holdfast.types import Entry, MirroredRun, RunId

IDS = 500  # read from the mirror at once
PAGE = 200  # entries, usually some 0.5 MB


class RunSource(Protocol):
    """Reads runs with their entries."""

    def ids(self) -> AsyncIterator[RunId]:
        """Yields the id of every run, once."""
        ...

    async def run(self, run_id: RunId) -> MirroredRun | None:
        """Returns a run; `None` if no run has this id.

        Raises:
            MirrorDamaged: it cannot be read.
        """
        ...

    def entries(self, run: MirroredRun) -> AsyncIterator[Entry]:
        """Yields the entries of a run up to its head, and checks that each follows the previous one.

        Raises:
            MirrorDamaged: they do not lead to the head, or no longer do, as an active run may change.
        """
        ...


class MirrorSource(RunSource):
    """Reads the mirror, without Temporal or a worker.

    Args:
        store: the store of the mirror.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @override
    async def ids(self) -> AsyncIterator[RunId]:
        after: RunId | None = None
        while page := await self._store.run_ids(after, IDS):
            for run_id in page:
                yield run_id
            after = page[-1]

    @override
    async def run(self, run_id: RunId) -> MirroredRun | None:
        try:
            return await self._store.run(run_id)
        except UNREADABLE as error:
            raise MirrorDamaged(str(error)) from error

    @override
    async def entries(self, run: MirroredRun) -> AsyncIterator[Entry]:
        chain = Chain(run)
        while not chain.is_complete:
            wanted = min(PAGE, run.head.seq + 1 - chain.next)
            try:
                page = await self._store.entries(chain.run_id, chain.next - 1, wanted)
            except UNREADABLE as error:
                raise MirrorDamaged(str(error)) from error
            if not page:
                raise MirrorDamaged(f"the mirror of run {chain.run_id!r} lacks entry {chain.next}")
            for entry in page:
                _add_checked(chain, entry)
                yield entry


class HistorySource(RunSource):
    """Reads Temporal's history. Only a worker knows the newest entries of an open run; without one they are left out.

    Args:
        finder: finds the runs.
        run_log: reads them.
    """

    def __init__(self, finder: RunFinder, run_log: RunLog) -> None:
        self._finder = finder
        self._log = run_log

    @override
    async def ids(self) -> AsyncIterator[RunId]:
        async for run_id in self._finder.all_runs():
            yield run_id

    @override
    async def run(self, run_id: RunId) -> MirroredRun | None:
        try:
            return await self._log.latest(run_id)
        except RunNotFound:
            return None
        except UNREADABLE as error:
            raise MirrorDamaged(str(error)) from error

    @override
    async def entries(self, run: MirroredRun) -> AsyncIterator[Entry]:
        if run.head.seq < 0:
            return
        chain = Chain(run)
        try:
            async for entry in self._log.entries(chain.run_id):
                _add_checked(chain, entry)
                yield entry
                if chain.is_complete:
                    return  # what follows has been recorded meanwhile, or only a worker knows it
        except (RunNotFound, WorkerUnavailable, *UNREADABLE) as error:
            raise MirrorDamaged(str(error)) from error
        raise MirrorDamaged(f"the history of run {chain.run_id!r} lacks entry {chain.next}")


def _add_checked(chain: Chain, entry: Entry) -> None:
    try:
        chain.add(entry)
    except ValueError as error:
        raise MirrorDamaged(str(error)) from None
