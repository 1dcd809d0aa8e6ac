"""A run's whole log, from where it can be had, with a reason to believe it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.errors import MirrorDamaged, PayloadUnreadable, RunNotFound
from holdfast.ports import MISSING, Flaw, RunLog, Store
from holdfast.protocol import Standing
from holdfast.types import Entry, EntryBatch, RunId, RunSummary, TranscriptRef

PAGE = 500  # entries that the mirror is asked for at once
BATCH = 200  # entries at a time on their way to the mirror
UNREADABLE = (MirrorDamaged, PayloadUnreadable)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a run's mirror is to hold."""

    standing: Standing
    entries: list[Entry]
    """All up to the head, dense from 0."""

    @property
    def head(self) -> TranscriptRef:
        """The newest entry; seq -1 when the run has recorded nothing."""
        return self.standing.run.head

    def has(self, point: TranscriptRef) -> bool:
        """Whether this point lies in the log."""
        return 0 <= point.seq < len(self.entries) and self.entries[point.seq].digest == point.digest

    def log(self, upto: int | None = None, summary: RunSummary | None = None) -> EntryBatch:
        """The whole log in one batch, or all up to an entry with the summary that belongs there."""
        entries = self.entries if upto is None else self.entries[: upto + 1]
        return self._batch("", entries, summary or self.standing.run.summary)

    def batches(self, after: int = -1) -> Iterator[EntryBatch]:
        """The log after an entry, ready to be appended."""
        for first in range(after + 1, len(self.entries), BATCH):
            previous = self.entries[first - 1].digest if first else ""
            yield self._batch(previous, self.entries[first : first + BATCH], self.standing.run.summary)

    def _batch(self, previous: str, entries: list[Entry], summary: RunSummary) -> EntryBatch:
        run = self.standing.run
        return EntryBatch(
            run_id=run.summary.run_id, chain=run.chain, previous_digest=previous, entries=entries, summary=summary
        )


async def read_truth(run_log: RunLog, store: Store, standing: Standing) -> Truth:
    """Reads a run's log from history.

    Where Temporal has deleted the beginning of a run that was continued as new, the mirror's own entries serve: the
    digest of the head, which the history still has, vouches for every one before it.

    Raises:
        RunNotFound: the beginning is gone, and what the mirror has does not lead to the head.
        WorkerUnavailable: nobody is there to replay the history.
    """
    run, entries = standing.run, list[Entry]()
    if run.head.seq < 0:
        return Truth(standing, [])
    try:
        async for entry in run_log.entries(run.summary.run_id):
            if entry.seq > run.head.seq:
                break
            entries.append(entry)
    except RunNotFound:
        entries, _ = await stored_entries(store, run.summary.run_id, run.head.seq + 1)
    if not entries or entries[-1].seq != run.head.seq or not _vouched(entries[-1], run.head):
        raise RunNotFound(
            f"the beginning of run {run.summary.run_id!r} is not in Temporal's history any more, "
            "and what the mirror has does not lead to where the history goes on"
        )
    return Truth(_with_digest(standing, entries[-1]), entries)


async def stored_entries(store: Store, run_id: RunId, limit: int) -> tuple[list[Entry], Flaw | None]:
    """The mirror's own entries as far as each follows the one before it, and what comes instead of the next."""
    found, previous = list[Entry](), ""
    while len(found) < limit:
        page, is_cut = await _page(store, run_id, len(found) - 1, min(PAGE, limit - len(found)))
        for entry in page:
            if entry.seq != len(found):
                return found, Flaw("event", len(found), MISSING)
            if not entry.follows(previous):
                return found, Flaw("event", entry.seq, "altered: text")
            found.append(entry)
            previous = entry.digest
        if is_cut:
            return found, Flaw("event", len(found), "altered: text")
        if not page:
            return found, None
    return found, None


async def _page(store: Store, run_id: RunId, after: int, limit: int) -> tuple[list[Entry], bool]:
    """A page of entries, and whether it ends at one that cannot be read."""
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


def _with_digest(standing: Standing, newest: Entry) -> Standing:
    return standing.model_copy(update={"run": standing.run.model_copy(update={"head": newest.ref})})
