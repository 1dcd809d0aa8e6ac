"""Runs and entries as items of a bundle, and the check that they belong together."""

from __future__ import annotations

from typing import Any

from holdfast.ops.transfer.bundle import Item
from holdfast.types import Entry, MirroredRun, RunId, RunSummary, TranscriptRef

RUN, ENTRY, VOID = "run", "entry", "void"


def run_item(run: MirroredRun) -> Item:
    """Returns the item for a run's row; its entries follow it."""
    return {
        "kind": RUN,
        "chain": run.chain,
        "head": [run.head.seq, run.head.digest],
        "summary": run.summary.model_dump(mode="json"),
    }


def run_from(item: Item) -> MirroredRun:
    """Returns the run of an item from `run_item`; raises ValueError if the item is malformed."""
    seq, digest = _field(item, "head", list)
    head = TranscriptRef(seq=seq, digest=digest)
    if head.seq < 0 and (head.seq, head.digest) != (-1, ""):
        raise ValueError("`head` must be [-1, ''] for a run without entries")
    return MirroredRun(
        summary=RunSummary.model_validate(_field(item, "summary", dict), extra="allow"),
        chain=_field(item, "chain", str),
        head=head,
    )


def entry_item(run_id: RunId, entry: Entry) -> Item:
    """Returns the item for an entry."""
    return {"kind": ENTRY, "run_id": run_id, "entry": {**dict(entry), "at": entry.at.isoformat()}}


def entry_from(item: Item) -> Entry:
    """Returns the entry of an item from `entry_item`; raises ValueError if the item is malformed."""
    return Entry.model_validate(_field(item, "entry", dict), extra="allow")


def void_item(run_id: RunId, why: str) -> Item:
    """Returns the item which says that the preceding run is incomplete in this file and must be ignored."""
    return {"kind": VOID, "run_id": run_id, "why": why}


class Chain:
    """Checks that entries form the log of a run.

    Args:
        run: the run; the digest of its head covers all entries.
    """

    def __init__(self, run: MirroredRun) -> None:
        self.run_id = run.summary.run_id
        self.next = 0
        """The seq that the next entry must have."""
        self.digest = ""
        """Digest of the entry before it."""
        self._head = run.head

    @property
    def is_complete(self) -> bool:
        """Whether every entry has been added."""
        return self.next > self._head.seq

    def add(self, entry: Entry) -> None:
        """Checks that an entry is the next one.

        Raises:
            ValueError: it is not, it was altered, or it contradicts the run's head.
        """
        where = f"entry {entry.seq} of run {self.run_id!r}"
        if entry.seq != self.next:
            raise ValueError(f"{where} was found instead of entry {self.next}")
        if not entry.follows(self.digest):
            raise ValueError(f"{where} was altered or does not follow the previous entry")
        if entry.seq > self._head.seq:
            raise ValueError(f"{where} is newer than the head of the run, {self._head.seq}")
        if entry.seq == self._head.seq and entry.digest != self._head.digest:
            raise ValueError(f"{where} does not match the head in the run's row")
        self.next, self.digest = entry.seq + 1, entry.digest


def _field(item: Item, name: str, kind: type[Any]) -> Any:
    value = item.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` is missing or not of type {kind.__name__}")  # noqa: TRY004 - the data is wrong
    return value
