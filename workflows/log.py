"""A run's ordered log, in memory: the entries of this execution, and the transcript within them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from holdfast.protocol import EntryPage, MessagePage
from holdfast.types import Entry, EntryKind, Message, TranscriptRef
from holdfast.workflows.options import PAGE_BYTES


class Log:
    """Entries are appended and never change; what came before this execution is known by its head alone."""

    def __init__(
        self, *, head: TranscriptRef | None = None, next_message: int = 0, previous: str | None = None
    ) -> None:
        """
        Args:
            head: the last entry of the execution before this one; None in a run's first.
            next_message: `seq` of the first transcript message to come.
            previous: Temporal's id of the execution before this one.
        """
        self.first = head.seq + 1 if head else 0
        self._first_message = next_message
        self._previous = previous
        self._before = head
        self._entries: list[Entry] = []
        self._messages: list[Message] = []
        self._message_entries: list[int] = []  # entry seq of each message

    @property
    def head(self) -> TranscriptRef | None:
        """The newest entry; None while there is none."""
        return self._entries[-1].ref if self._entries else self._before

    @property
    def next_message(self) -> int:
        """`seq` for the next transcript message."""
        return self._first_message + len(self._messages)

    @property
    def messages(self) -> list[Message]:
        """The messages of this execution, oldest first."""
        return self._messages

    def append(self, kind: EntryKind, *, at: datetime, turn: int, data: dict[str, Any]) -> Entry:
        """Adds an entry; `data` must be plain JSON values."""
        head = self.head
        entry = Entry.chained(
            head.digest if head else "", seq=head.seq + 1 if head else 0, at=at, kind=kind, turn=turn, data=data
        )
        self._entries.append(entry)
        if message := entry.message:
            self._messages.append(message)
            self._message_entries.append(entry.seq)
        return entry

    def ref_at(self, seq: int) -> TranscriptRef | None:
        """Entry `seq` as a point of the log, from the last one before this execution on; None for -1."""
        return self._entries[seq - self.first].ref if seq >= self.first else self._before

    def size_after(self, seq: int) -> int:
        """Bytes, roughly, of the entries after `seq`."""
        return sum(entry.size for entry in self.after(seq))

    def after(self, seq: int) -> list[Entry]:
        """The entries of this execution after entry `seq`."""
        return self._entries[max(seq + 1 - self.first, 0) :]

    def batch_after(self, seq: int, *, max_entries: int, max_bytes: int) -> tuple[str, list[Entry]]:
        """The entries after `seq`, as many as fit and at least one, with the digest of the one before them."""
        start = seq + 1 - self.first
        stop, size = start, 0
        while stop < len(self._entries) and stop - start < max_entries:
            size += self._entries[stop].size
            if size > max_bytes and stop > start:
                break
            stop += 1
        before = self.ref_at(seq)
        return before.digest if before else "", self._entries[start:stop]

    def page(self, after: int) -> EntryPage:
        """The entries after `after`, as many as one answer takes."""
        start = max(after + 1 - self.first, 0)
        stop = self._page_end(self._entries[start:]) + start
        return EntryPage(
            entries=self._entries[start:stop],
            more=stop < len(self._entries),
            first=self.first,
            previous=self._previous,
        )

    def message_page(self, after: int) -> MessagePage:
        """The transcript messages after message `after`, as many as one answer takes."""
        start = max(after + 1 - self._first_message, 0)
        stop = self._page_end([self._entries[seq - self.first] for seq in self._message_entries[start:]]) + start
        return MessagePage(
            messages=self._messages[start:stop],
            more=stop < len(self._messages),
            first=self._first_message,
            previous=self._previous,
        )

    @staticmethod
    def _page_end(entries: list[Entry]) -> int:
        """How many of these entries one answer takes, at least one."""
        size = 0
        for count, entry in enumerate(entries):
            size += entry.size
            if size > PAGE_BYTES and count:
                return count
        return len(entries)
