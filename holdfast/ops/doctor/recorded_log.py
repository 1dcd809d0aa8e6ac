"""The whole log of a run, as Temporal's history records it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.errors import MirrorDamaged, PayloadUnreadable, RunNotFound
from holdfast.ports import MISSING, RowDifference, RunLog, Store
from holdfast.protocol import RunSnapshot
from holdfast.types import Entry, EntryBatch, RunId, RunSummary, TranscriptRef

PAGE = 500  # entries read from the mirror at once
BATCH = 200  # entries appended to the mirror at once
UNREADABLE = (MirrorDamaged, PayloadUnreadable)


@dataclass(frozen=True, slots=True)
class RecordedLog:
    """What the mirror of a run should contain."""

    snapshot: RunSnapshot
    entries: list[Entry]
    """All entries up to the head; their `seq` numbers start at 0 and have no gaps."""

    @property
    def head(self) -> TranscriptRef:
        """The newest entry; its `seq` is -1 if the run has recorded nothing."""
        return self.snapshot.run.head

    def has(self, point: TranscriptRef) -> bool:
        """Returns whether the log contains this entry."""
        return 0 <= point.seq < len(self.entries) and self.entries[point.seq].digest == point.digest

    def log(self, upto: int | None = None, summary: RunSummary | None = None) -> EntryBatch:
        """Returns the log as one batch: whole, or up to an entry and with the summary as of that entry."""
        entries = self.entries if upto is None else self.entries[: upto + 1]
        return self._batch("", entries, summary or self.snapshot.run.summary)

    def batches(self, after: int = -1) -> Iterator[EntryBatch]:
        """Yields the log after an entry, in batches to append."""
        for first in range(after + 1, len(self.entries), BATCH):
            previous = self.entries[first - 1].digest if first else ""
            yield self._batch(previous, self.entries[first : first + BATCH], self.snapshot.run.summary)

    def _batch(self, previous: str, entries: list[Entry], summary: RunSummary) -> EntryBatch:
        run = self.snapshot.run
        return EntryBatch(
            run_id=run.summary.run_id, chain=run.chain, previous_digest=previous, entries=entries, summary=summary
        )


async def read_recorded_log(run_log: RunLog, store: Store, snapshot: RunSnapshot) -> RecordedLog:
    """Reads a run's log from history.

    If Temporal has deleted the first executions of a run that was continued as new, the log comes from the mirror: the
    digest of the head, which the history still has, proves every earlier entry.

    Raises:
        RunNotFound: the first executions are deleted, and the entries in the mirror do not lead to the head.
        WorkerUnavailable: no worker is running that could replay the history.
    """
    run, entries = snapshot.run, list[Entry]()
    if run.head.seq < 0:
        return RecordedLog(snapshot, [])
    try:
        async for entry in run_log.entries(run.summary.run_id):
            if entry.seq > run.head.seq:
                break
            entries.append(entry)
    except RunNotFound:
        entries, _ = await stored_entries(store, run.summary.run_id, run.head.seq + 1)
    if not entries or entries[-1].seq != run.head.seq or not _vouched(entries[-1], run.head):
        raise RunNotFound(
            f"the first executions of run {run.summary.run_id!r} are no longer in Temporal's history, "
            "and the entries in the mirror do not lead to the part that is"
        )
    return RecordedLog(_with_digest(snapshot, entries[-1]), entries)


async def stored_entries(store: Store, run_id: RunId, limit: int) -> tuple[list[Entry], RowDifference | None]:
    """Returns the mirror's entries up to the first that does not follow its predecessor, and that difference."""
    found, previous = list[Entry](), ""
    while len(found) < limit:
        page, is_cut = await _page(store, run_id, len(found) - 1, min(PAGE, limit - len(found)))
        for entry in page:
            if entry.seq != len(found):
                return found, RowDifference("event", len(found), MISSING)
            if not entry.follows(previous):
                return found, RowDifference("event", entry.seq, "altered: text")
            found.append(entry)
            previous = entry.digest
        if is_cut:
            return found, RowDifference("event", len(found), "altered: text")
        if not page:
            return found, None
    return found, None


async def _page(store: Store, run_id: RunId, after: int, limit: int) -> tuple[list[Entry], bool]:
    """Returns a page of entries, and whether it ends at one that cannot be read."""
    try:
        return await store.entries(run_id, after, limit), False
    except UNREADABLE:
        readable: list[Entry] = []
    for seq in range(after, after + limit):
        try:
            readable += await store.entries(run_id, seq, 1)
        except UNREADABLE:
            break
    return readable, True


def _vouched(newest: Entry, head: TranscriptRef) -> bool:
    return head.digest in ("", newest.digest)  # an older worker answers without a digest


def _with_digest(snapshot: RunSnapshot, newest: Entry) -> RunSnapshot:
    return snapshot.model_copy(update={"run": snapshot.run.model_copy(update={"head": newest.ref})})
