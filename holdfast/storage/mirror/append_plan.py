"""The plan of an append: what to write, given a batch and what the mirror holds. Pure, and shared by all stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from holdfast.bounds import is_encodable
from holdfast.errors import MirrorGap, UsageError
from holdfast.types import Entry, EntryBatch, TranscriptRef


@dataclass(frozen=True, slots=True)
class Stored:
    """The newest entry of a run in the mirror, and the chain it belongs to."""

    chain: str
    started_at: datetime
    head: TranscriptRef
    turn: int | None = field(default=None, compare=False)
    """The highest turn of its entries, which never decreases within a log; `None` if it was not read."""

    @classmethod
    def after(cls, batch: EntryBatch) -> Stored:
        """Returns the state of the mirror after `batch` has been written."""
        turn = max(entry.turn for entry in batch.entries)
        return cls(batch.chain, batch.summary.started_at, batch.entries[-1].ref, turn)


@dataclass(frozen=True, slots=True)
class Write:
    """Entries to add, after deleting the stored entries from `cut` onward."""

    entries: list[Entry]
    cut: int | None
    """`None` means that nothing is deleted."""


def check_batch(batch: EntryBatch) -> None:
    """Validates a batch.

    Raises:
        UsageError: it is empty, has gaps, was altered, mixes runs, or its run id cannot be stored.
    """
    where = f"batch of run {batch.run_id!r}"
    if "\0" in batch.run_id or not is_encodable(batch.run_id):
        raise UsageError(f"{where}: a run id must be text without NUL and lone surrogates")
    if not batch.entries:
        raise UsageError(f"{where} is empty: it needs at least one entry")
    if batch.summary.run_id != batch.run_id:
        raise UsageError(f"{where}: its summary is of run {batch.summary.run_id!r}")
    if (batch.entries[0].seq == 0) != (batch.previous_digest == ""):
        raise UsageError(f"{where}: previous_digest must be empty before entry 0, and only there")
    previous = batch.previous_digest
    for seq, entry in enumerate(batch.entries, start=batch.entries[0].seq):
        if entry.seq != seq:
            raise UsageError(f"{where}: has entry {entry.seq} where entry {seq} is expected")
        if not entry.follows(previous):
            raise UsageError(f"{where}: entry {seq} was altered, or does not follow the one before it")
        _check_message(entry, where)
        previous = entry.digest


def continues(batch: EntryBatch, stored: Stored) -> bool:
    """Returns whether `batch` starts right after an entry that this process wrote: the common case, without a read."""
    return (batch.chain, batch.entries[0].seq, batch.previous_digest) == (
        stored.chain,
        stored.head.seq + 1,
        stored.head.digest,
    )


def overlap(batch: EntryBatch, stored: Stored | None) -> range:
    """Returns the seqs whose digests `plan_append` compares: the entry before the batch, and those that both have."""
    if stored is None or stored.chain != batch.chain:
        return range(0)
    return range(max(batch.entries[0].seq - 1, 0), min(batch.entries[-1].seq, stored.head.seq) + 1)


def plan_append(batch: EntryBatch, stored: Stored | None, digests: Mapping[int, str]) -> Write | TranscriptRef:
    """Plans an append. If the batch connects to the mirror but differs from it, everything from the first difference
    on is replaced: the writer has the truth, so a damaged mirror can be repaired by batches of any size.

    Args:
        batch: a batch that has passed `check_batch`.
        stored: `None` if the run is not in the mirror.
        digests: stored digests by seq, over `overlap(batch, stored)`, without those of missing rows.

    Returns:
        What to write, or the reference to answer with if there is nothing to write.

    Raises:
        MirrorGap: entries before the batch are missing, or do not lead to its `previous_digest`.
    """
    first, last = batch.entries[0], batch.entries[-1]
    if stored is None or stored.chain != batch.chain:
        if stored is not None and batch.summary.started_at <= stored.started_at:
            return last.ref  # a newer execution has this run id: acknowledge, so that the old writer stops
        if first.seq:
            raise MirrorGap(
                f"the mirror has no entry of this execution of run {batch.run_id!r}: send them from entry 0", 0
            )
        return Write(batch.entries, cut=0)
    expected = stored.head.seq + 1
    if first.seq > expected:
        raise MirrorGap(f"the mirror of run {batch.run_id!r} needs entry {expected} before entry {first.seq}", expected)
    if first.seq and digests.get(first.seq - 1) != batch.previous_digest:
        raise MirrorGap(
            f"the mirror of run {batch.run_id!r} differs before entry {first.seq}: send the entries from 0", 0
        )
    for index, entry in enumerate(batch.entries):
        if digests.get(entry.seq) != entry.digest:
            return Write(batch.entries[index:], cut=entry.seq if entry.seq < expected else None)
    return last.ref  # not the head: a run row does not prove that the entries after the batch were written


def _check_message(entry: Entry, where: str) -> None:
    try:
        _ = entry.message
    except (KeyError, ValueError) as error:
        raise UsageError(f"{where}: entry {entry.seq} of kind {entry.kind!r} has no valid message: {error}") from None
