"""The run's log: dense, chained, and readable page by page."""

from datetime import UTC, datetime

import pytest

from holdfast.types import Entry, Message
from holdfast.workflows.run import log as log_module
from holdfast.workflows.run.log import Log

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def add_message(log: Log, content: str) -> Entry:
    message = Message(seq=log.next_message, role="user", content=content)
    return log.append("message", at=NOW, turn=0, data={"message": message.model_dump(mode="json", exclude_unset=True)})


def filled(count: int, **options: object) -> Log:
    log = Log(**options)  # type: ignore[arg-type]
    for number in range(count):
        add_message(log, f"message {number}")
    return log


def test_entries_are_dense_and_chained() -> None:
    """Entries are numbered without gaps, and each digest covers the one before."""
    entries = filled(5).page(-1).entries
    assert [entry.seq for entry in entries] == [0, 1, 2, 3, 4]
    previous = ""
    for entry in entries:
        assert entry.follows(previous)
        previous = entry.digest


def test_an_altered_entry_is_noticed() -> None:
    """A changed entry fails the check of its digest."""
    first, second = filled(2).page(-1).entries
    altered = second.model_copy(update={"data": {"message": {"seq": 1, "role": "user", "content": "other"}}})
    assert not altered.follows(first.digest)
    assert Entry.model_validate_json(second.model_dump_json()).follows(first.digest)


def test_a_later_execution_continues_where_the_first_ended() -> None:
    """After continue-as-new, numbers and digests continue."""
    whole, first = filled(6), filled(3)
    rest = Log(head=first.head, next_message=first.next_message, previous="earlier")
    for number in range(3, 6):
        add_message(rest, f"message {number}")
    assert rest.head == whole.head
    assert [message.seq for message in rest.messages] == [3, 4, 5]
    page = rest.page(-1)
    assert (page.first, page.previous, page.entries[0].seq) == (3, "earlier", 3)
    assert rest.batch_after(2, max_entries=9, max_bytes=10**6)[0] == (first.head.digest if first.head else None)
    assert rest.ref_at(2) == first.head


def test_pages_are_bounded_and_lead_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages stay below the size of a query's answer, and lead to the next."""
    monkeypatch.setattr(log_module, "PAGE_BYTES", 250)
    log = filled(10)
    seen: list[int] = []
    more = True
    while more:
        page = log.page(seen[-1] if seen else -1)
        assert 1 <= len(page.entries) < 10
        seen += [entry.seq for entry in page.entries]
        more = page.more
    assert seen == list(range(10))
    assert log.message_page(7).messages[-1].seq == 9


def test_batches_are_bounded_by_count_and_bytes() -> None:
    """Batches are bounded by number and bytes."""
    log = filled(10)
    previous, batch = log.batch_after(-1, max_entries=4, max_bytes=10**6)
    assert (previous, [entry.seq for entry in batch]) == ("", [0, 1, 2, 3])
    previous, batch = log.batch_after(3, max_entries=100, max_bytes=1)
    assert [entry.seq for entry in batch] == [4], "one entry goes even when it is too large"
    third = log.ref_at(3)
    assert third is not None
    assert previous == third.digest


def test_entries_after_a_point() -> None:
    """A model call carries each entry after its base once."""
    log = Log()
    log.append("start", at=NOW, turn=0, data={})
    add_message(log, "a")
    log.append("status", at=NOW, turn=0, data={"status": "running", "reason": ""})
    add_message(log, "b")
    assert [entry.seq for entry in log.after(-1)] == [0, 1, 2, 3]
    assert [entry.seq for entry in log.after(1)] == [2, 3]
    assert log.after(3) == []


def test_a_log_begins_with_the_entries_that_were_handed_over() -> None:
    """What an execution hands over is part of the next one's log: numbers, digests and messages continue from there."""
    before = Log()
    for number in range(3):
        message = Message(seq=number, role="user", content=f"message {number}")
        before.append("message", at=NOW, turn=0, data={"message": message.model_dump(mode="json", exclude_unset=True)})
    acked = before.ref_at(0)
    after = Log(head=acked, next_message=before.next_message, previous="e", carried=before.after(0))
    assert (after.first, after.head, after.next_message) == (1, before.head, 3)
    assert after.page(0).entries == before.after(0)
    assert [message.seq for message in after.message_page(0).messages] == [1, 2]
    entry = after.append("status", at=NOW, turn=0, data={"status": "waiting"})
    assert before.head is not None
    assert entry.follows(before.head.digest)
