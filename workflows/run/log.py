"""The ordered log of a run, in memory: the entries of this execution and the transcript messages in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from holdfast.protocol import EntryPage, MessagePage
from holdfast.types import Entry, EntryKind, Message, TranscriptRef
from holdfast.workflows.options import PAGE_BYTES


class Log:
    """An append-only log; of the executions before this one, only the newest entry is known."""

    def __init__(
        self,
        *,
        head: TranscriptRef | None = None,
        next_message: int = 0,
        previous: str | None = None,
        carried: Sequence[Entry] = (),
    ) -> None:
        """
        Args:
            head: the newest entry of the previous execution that is not carried; `None` in the first one of a run.
            next_message: `seq` of the next transcript message.
            previous: Temporal's id of the previous execution.
            carried: the entries after `head` that the previous execution handed over.
        """
        self.first = head.seq + 1 if head else 0
        self._first_message = next_message - sum(entry.message is not None for entry in carried)
        self._previous = previous
        self._before = head
        self._entries: list[Entry] = []
        self._messages: list[Message] = []
        self._message_entries: list[int] = []  # entry seq of each message
        for entry in carried:
            self._add(entry)

    @property
    def head(self) -> TranscriptRef | None:
        """The newest entry; `None` means that the log is empty."""
        return self._entries[-1].ref if self._entries else self._before

    @property
    def next_message(self) -> int:
        """`seq` of the next transcript message."""
        return self._first_message + len(self._messages)

    @property
    def messages(self) -> list[Message]:
        """The messages of this execution, oldest first."""
        return self._messages

    @property
    def last_message_ref(self) -> TranscriptRef | None:
        """The entry of the newest message; `None` if this execution has none yet."""
        return self.ref_at(self._message_entries[-1]) if self._message_entries else None

    def append(self, kind: EntryKind | str, *, at: datetime, turn: int, data: dict[str, Any]) -> Entry:
        """Appends an entry and returns it; `data` must consist of plain JSON values."""
        head = self.head
        entry = Entry.chained(
            head.digest if head else "", seq=head.seq + 1 if head else 0, at=at, kind=kind, turn=turn, data=data
        )
        self._add(entry)
        return entry

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        if message := entry.message:
            self._messages.append(message)
            self._message_entries.append(entry.seq)

    def ref_at(self, seq: int) -> TranscriptRef | None:
        """Returns the point of the log at entry `seq` of this execution, or at its head before it; `None` for -1."""
        return self._entries[seq - self.first].ref if seq >= self.first else self._before

    def size_after(self, seq: int) -> int:
        """Returns the approximate size in bytes of the entries after `seq`."""
        return sum(entry.size for entry in self.after(seq))

    def after(self, seq: int) -> list[Entry]:
        """Returns the entries of this execution after entry `seq`."""
        return self._entries[max(seq + 1 - self.first, 0) :]

    def batch_after(self, seq: int, *, max_entries: int, max_bytes: int) -> tuple[str, list[Entry]]:
        """Returns the digest of entry `seq` and the entries after it, at least one and as many as the limits allow."""
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
        """Returns the entries after entry `after`, as many as fit into one page."""
        start = max(after + 1 - self.first, 0)
        stop = self._page_end(self._entries[start:]) + start
        return EntryPage(
            entries=self._entries[start:stop],
            more=stop < len(self._entries),
            first=self.first,
            previous=self._previous,
        )

    def message_page(self, after: int) -> MessagePage:
        """Returns the transcript messages after message `after`, as many as fit into one page."""
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
        """Returns how many of these entries fit into one page, at least one."""
        size = 0
        for count, entry in enumerate(entries):
            size += entry.size
            if size > PAGE_BYTES and count:
                return count
        return len(entries)
