"""The activity that finds the point of a checkpoint in executions of a run before the current one."""

from __future__ import annotations

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.failures import store_unavailable
from holdfast.activities.heartbeat import heartbeats
from holdfast.checkpoints import RestorePoint, restore_point
from holdfast.errors import (
    ErrorType,
    HoldfastError,
    MirrorDamaged,
    QueryRefused,
    RunNotFound,
    StoreUnavailable,
    TranscriptUnavailable,
    Unavailable,
    UsageError,
)
from holdfast.ports import RunLog, Store
from holdfast.protocol import RestoreQuery
from holdfast.types import Entry

log = get_logger(__name__)


class RestoreActivities:
    """Reads the whole log of a run, from the mirror or else from Temporal's history.

    Args:
        store: the mirror.
        run_log: reads Temporal's history.
    """

    def __init__(self, store: Store, run_log: RunLog) -> None:
        self._store = store
        self._run_log = run_log

    @activity.defn(name=names.RUN_RESTORE_POINT)
    async def restore_point(self, query: RestoreQuery) -> RestorePoint:
        """Returns what a run needs to know of a checkpoint in order to go back to it.

        Raises:
            ApplicationError: there is no such checkpoint; or, retryable, the log cannot be read now.
        """
        async with heartbeats():
            try:
                entries = await self._mirrored(query) or await self._recorded(query)
                return await asyncio.to_thread(restore_point, entries, query.checkpoint, query.run_id)
            except (UsageError, TranscriptUnavailable, RunNotFound) as error:
                raise ApplicationError(str(error), type=ErrorType.COMMAND_REFUSED, non_retryable=True) from None
            except (Unavailable, QueryRefused) as error:
                raise _later(error) from None

    async def _mirrored(self, query: RestoreQuery) -> list[Entry]:
        """Returns the log as the mirror and the query have it; nothing if they do not have all of it."""
        base = query.base
        if base is None:
            return query.entries
        try:
            entries = await self._store.entries(query.run_id, limit=base.seq + 1)
        except (StoreUnavailable, MirrorDamaged) as error:
            log.info("the mirror cannot be read; reading history", run_id=query.run_id, reason=str(error))
            return []
        previous = ""
        for seq, entry in enumerate(entries):
            if entry.seq != seq or not entry.follows(previous):
                return []
            previous = entry.digest
        return [*entries, *query.entries] if len(entries) == base.seq + 1 and previous == base.digest else []

    async def _recorded(self, query: RestoreQuery) -> list[Entry]:
        return [entry async for entry in self._run_log.entries(query.run_id)]


def _later(error: HoldfastError) -> ApplicationError:
    log.warning("the log of a run cannot be read, will retry", reason=str(error))
    return store_unavailable(error)
