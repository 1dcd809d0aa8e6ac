"""The append of a model call's entries to the mirror, beside the request to the model."""

from __future__ import annotations

import asyncio

from holdfast._util.logger import get_logger
from holdfast.activities.mirror_writer import MirrorWriter
from holdfast.errors import MirrorGap, StoreUnavailable, UsageError
from holdfast.protocol import ModelCall
from holdfast.types import EntryBatch

log = get_logger(__name__)

APPEND_TIMEOUT = 0.25  # seconds that a reply waits for the mirror, which usually takes 5 ms


class ConcurrentAppend:
    """The append of a call's entries to the mirror, concurrent with the request to the model.

    It delays the reply by at most `APPEND_TIMEOUT` and never fails the call. The run's outbox sends what it missed.
    """

    def __init__(self, writer: MirrorWriter, call: ModelCall) -> None:
        self._writer = writer
        self._call = call
        self._task: asyncio.Task[bool] | None = None

    def start(self) -> None:
        """Starts the append, if the call carries one."""
        if batch := self._call.batch:
            self._task = asyncio.create_task(self._append(batch))

    async def result(self) -> bool:
        """Waits briefly for the mirror and returns whether it has the entries."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=APPEND_TIMEOUT)
        return self.is_done

    @property
    def is_done(self) -> bool:
        """Whether the mirror has acknowledged the entries."""
        return self._task is not None and self._task.done() and not self._task.cancelled() and self._task.result()

    def cancel(self) -> None:
        """Cancels an append that is still in flight; it can be repeated safely."""
        if self._task is not None:
            self._task.cancel()

    async def _append(self, batch: EntryBatch) -> bool:
        try:
            await self._writer.append(batch)
        except (MirrorGap, StoreUnavailable, UsageError) as error:
            log.warning("the mirror lags", run_id=batch.run_id, after=batch.entries[0].seq - 1, reason=str(error))
            return False
        except Exception:
            log.exception("writing to the mirror failed", run_id=batch.run_id)
            return False
        return True
