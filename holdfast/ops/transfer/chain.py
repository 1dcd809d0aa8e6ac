"""A run and its entries as they travel, and the proof that they belong together."""

from __future__ import annotations

from typing import Any

from holdfast.ops.transfer.bundle import Item
from holdfast.types import Entry, MirroredRun, RunId, RunSummary, TranscriptRef

RUN, ENTRY, VOID = "run", "entry", "void"


def run_item(run: MirroredRun) -> Item:
    """A run's row; its entries follow."""
    return {
        "kind": RUN,
        "chain": run.chain,
        "head": [run.head.seq, run.head.digest],
        "summary": run.summary.model_dump(mode="json"),
    }


def run_from(item: Item) -> MirroredRun:
    """What `run_item` made an item of; raises ValueError where it did not."""
    seq, digest = _field(item, "head", list)
    head = TranscriptRef(seq=seq, digest=digest)
    if head.seq < 0 and (head.seq, head.digest) != (-1, ""):
        raise ValueError("`head` is of a run without entries, and is not [-1, '']")
    return MirroredRun(
        summary=RunSummary.model_validate(_field(item, "summary", dict), extra="allow"),
        chain=_field(item, "chain", str),
        head=head,
    )


def entry_item(run_id: RunId, entry: Entry) -> Item:
    """An entry, exactly."""
    return {"kind": ENTRY, "run_id": run_id, "entry": {**dict(entry), "at": entry.at.isoformat()}}


def entry_from(item: Item) -> Entry:
    """What `entry_item` made an item of; raises ValueError where it did not."""
    return Entry.model_validate(_field(item, "entry", dict), extra="allow")


def void_item(run_id: RunId, why: str) -> Item:
    """Says that the run which was begun last is not whole in this file, and does not count."""
    return {"kind": VOID, "run_id": run_id, "why": why}


class Chain:
    """Follows a run's entries up to its head.

    Args:
        run: whose head vouches for all of them.
    """

    def __init__(self, run: MirroredRun) -> None:
        self.run_id = run.summary.run_id
        self.next = 0
        """The seq that the next entry must have."""
        self.digest = ""
        """Of the entry before it."""
        self._head = run.head

    @property
    def is_whole(self) -> bool:
        """Whether every entry was there."""
        return self.next > self._head.seq

    def add(self, entry: Entry) -> None:
        """Checks that an entry is the next one.

        Raises:
            ValueError: it is not, it was altered, or the run has another head.
        """
        where = f"entry {entry.seq} of run {self.run_id!r}"
        if entry.seq != self.next:
            raise ValueError(f"{where} stands where entry {self.next} should")
        if not entry.follows(self.digest):
            raise ValueError(f"{where} was altered, or does not follow the one before it")
        if entry.seq > self._head.seq:
            raise ValueError(f"{where} lies beyond the head of the run, {self._head.seq}")
        if entry.seq == self._head.seq and entry.digest != self._head.digest:
            raise ValueError(f"{where} is not the head that the run's row names")
        self.next, self.digest = entry.seq + 1, entry.digest


def _field(item: Item, name: str, kind: type[Any]) -> Any:
    value = item.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` is missing, or not of type {kind.__name__}")  # noqa: TRY004 - of data, not of code
    return value
