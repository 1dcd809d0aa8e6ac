"""Import of runs into a mirror."""

from __future__ import annotations

from holdfast.errors import MirrorGap
from holdfast.ops.doctor.recorded_log import UNREADABLE
from holdfast.ops.transfer.part import Tally
from holdfast.ports import Store
from holdfast.storage.mirror.json_text import entry_text
from holdfast.types import Entry, EntryBatch, MirroredRun, RunStatus, RunSummary

BATCH = 200  # entries in one transaction
BATCH_CHARS = 1_000_000  # of their text; other writers wait for the transaction


class RunLoader:
    """Loads one run after the other: `begin`, then its entries in order.

    An import adds. What the mirror has of a run stays, unless the run has ended there and `replace` allows it:

    - a run that is active here is never touched, as its worker writes it;
    - a run that is older than the one here never replaces it;
    - if both are the same run, and contradict each other, only the history can show which is right.

    A run whose import is interrupted has the status `running` until it is imported completely.

    Args:
        store: the mirror.
        replace: whether a run that has ended here may be replaced by a later one with the same id, or continued.
        dry_run: write nothing.

    Attributes:
        tally: results, counted by whole runs.
    """

    def __init__(self, store: Store, *, replace: bool = False, dry_run: bool = False) -> None:
        self._store = store
        self._replace = replace
        self._dry_run = dry_run
        self.tally = Tally()
        self._run: MirroredRun | None = None
        self._known: MirroredRun | None = None
        self._waiting: list[Entry] = []
        self._chars = 0
        self._previous = self._replaced = ""

    async def begin(self, run: MirroredRun) -> None:
        """Begins a run with its row."""
        self._run, self._known, self._waiting, self._chars, self._previous = run, None, [], 0, ""
        self._replaced = ""
        try:
            self._known = await self._store.run(run.summary.run_id)
            fault = await self._fault(run, self._known)
        except UNREADABLE as error:
            fault = f"the existing mirror cannot be read: {error}"
        if fault is not None:
            self._keep(fault)
        elif self._dry_run:
            self._count_replaced()
            self._run = None
        elif run.head.seq < 0 and self._run is not None:
            await self._conclude(run)

    async def add(self, entry: Entry) -> None:
        """Adds the next entry; the last one completes the run."""
        if self._run is None:
            return  # the existing run is kept, or nothing is written
        self._waiting.append(entry)
        self._chars += len(entry_text(entry))
        is_last = entry.seq == self._run.head.seq
        if is_last or len(self._waiting) == BATCH or self._chars > BATCH_CHARS:
            await self._flush(self._run, is_last=is_last)
        if is_last and self._run is not None:
            await self._conclude(self._run)

    async def _fault(self, run: MirroredRun, known: MirroredRun | None) -> str | None:
        """Returns why a run must not be written; `None` if it may be, or need not be."""
        if known is None:
            return None
        if known.chain != run.chain:
            return self._fault_of_another(run, known)
        if known.head.seq < run.head.seq:
            return self._fault_of_more(run, known)
        shared = await self._store.entries(known.summary.run_id, run.head.seq - 1, 1)
        if run.head.seq >= 0 and [entry.digest for entry in shared] != [run.head.digest]:
            return f"entry {run.head.seq} differs from the stored one; `doctor verify` shows which is right"
        if known.head.seq == run.head.seq and known.summary == _unfinished(run.summary) != run.summary:
            return None  # an import that was interrupted before the end was written
        self.tally.same += 1
        self._run = None
        return None

    def _fault_of_another(self, run: MirroredRun, known: MirroredRun) -> str | None:
        if run.summary.started_at <= known.summary.started_at:
            return "the mirror has a newer run of this id"
        return self._unless_replaceable(known, "the file has a later run with this id")

    def _fault_of_more(self, run: MirroredRun, known: MirroredRun) -> str | None:
        if known.summary == _unfinished(run.summary):
            return None  # an import that was interrupted; the entry that both have is compared in `_flush`
        return self._unless_replaceable(known, f"the file has {run.head.seq - known.head.seq} later entries")

    def _unless_replaceable(self, known: MirroredRun, what: str) -> str | None:
        if not known.summary.status.is_final:
            return f"{what}, but the run is active here, and only its worker writes it"
        if not self._replace:
            return f"{what}; --replace replaces the stored one"
        self._replaced = f"run {known.summary.run_id!r}: {what}"
        return None

    async def _flush(self, run: MirroredRun, *, is_last: bool) -> None:
        """Writes the pending entries, with existing ones beside the newest, which may be incomplete."""
        batch, known = self._waiting, self._known
        self._waiting, self._chars = [], 0
        is_same_run = known is not None and known.chain == run.chain
        if known is not None and is_same_run and batch[0].seq <= known.head.seq <= batch[-1].seq:
            here = batch[known.head.seq - batch[0].seq]
            if here.digest != known.head.digest:
                self._keep(f"entry {here.seq} differs from the stored one; `doctor verify` shows which is right")
                return
        if known is None or not is_same_run or batch[-1].seq >= known.head.seq:
            await self._append(run, batch, is_last=is_last)
        self._previous = batch[-1].digest

    async def _append(self, run: MirroredRun, entries: list[Entry], *, is_last: bool) -> None:
        try:
            await self._store.append(
                EntryBatch(
                    run_id=run.summary.run_id,
                    chain=run.chain,
                    previous_digest=self._previous,
                    entries=entries,
                    summary=run.summary if is_last else _unfinished(run.summary),
                )
            )
        except MirrorGap as gap:
            self._keep(f"another process is writing this run: {gap}")

    async def _conclude(self, run: MirroredRun) -> None:
        if run.summary.status.is_final or run.head.seq < 0:
            await self._store.conclude(run)
        self._count_replaced()
        known, self._run = self._known, None
        if known is not None and (known.chain, known.head) == (run.chain, run.head):
            self.tally.same += 1
        else:
            self.tally.written += 1

    def _count_replaced(self) -> None:
        if self._replaced:
            self.tally.replaced.append(self._replaced)

    def _keep(self, why: str) -> None:
        assert self._run is not None
        self.tally.kept.append(f"run {self._run.summary.run_id!r}: {why}")
        self._run = None


def _unfinished(summary: RunSummary) -> RunSummary:
    """Returns the summary for a run that is being written, which must not look complete yet."""
    if not summary.status.is_final:
        return summary
    return summary.model_copy(update={"status": RunStatus.RUNNING, "finished_at": None, "error": None})
