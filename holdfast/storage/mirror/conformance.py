"""The conformance suite of every store. Use it to test a store of your own.

Each check takes a store and uses run ids of its own, so all checks can share one store:

    await check_store(MyStore)

or, with pytest, one test for each:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_store(check):
        await run_check(check, MyStore)
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone

from holdfast.errors import MirrorGap, TranscriptUnavailable, UsageError
from holdfast.ports import Store
from holdfast.storage.assertions import refused as _refused
from holdfast.storage.assertions import require as _require
from holdfast.storage.assertions import same as _same
from holdfast.storage.edge_cases import EDGE_CASES
from holdfast.storage.mirror.run_conformance import RUN_CHECKS
from holdfast.storage.mirror.sample import SPEC, SampleRun
from holdfast.types import Entry, EntryBatch, RunStatus, TranscriptRef, Usage

StoreFactory = Callable[[], Store]
"""Returns a new store; the checks close it. Stores may share their data."""

Check = Callable[[Store], Awaitable[None]]

LONG_RUN = 2_000  # entries; more than any page that a store reads at once
CONCURRENCY = 20  # runs that are written concurrently


async def check_store(make: StoreFactory) -> None:
    """Runs every check, each on a store of its own.

    Raises:
        AssertionError: the store violates a guarantee; the message says which.
    """
    for check in CHECKS:
        await run_check(check, make)


async def run_check(check: Check, make: StoreFactory) -> None:
    """Runs one check on a new store, and closes it."""
    store = make()
    try:
        await check(store)
    finally:
        await store.close()


async def appended_entries_come_back(store: Store) -> None:
    """Entries, messages, summary, head and context are what was written."""
    run = SampleRun(turns=3)
    _same(await store.append(run.batch()), run.head, "append returns the newest entry")
    _same(await store.entries(run.run_id), run.entries, "entries come back unchanged, in order")
    _same(await store.messages(run.run_id), run.messages, "messages come back unchanged, in order")
    _same(await store.summary(run.run_id), run.batch().summary, "the summary comes back unchanged")
    _same(await store.head(run.run_id), run.head, "the head is the newest entry")
    context = await store.context(run.run_id, run.head)
    _same((context.spec, context.messages), (SPEC, run.messages), "the context has the definition and all messages")


async def pages_and_points_are_exact(store: Store) -> None:
    """`after` and `limit` are exact, and a context ends at its reference."""
    run = SampleRun(turns=3)
    await store.append(run.batch())
    for after in (-1, 0, 4, len(run.entries) - 1, len(run.entries) + 5):
        _same(await store.entries(run.run_id, after), run.entries[after + 1 :], f"entries after {after}")
        expected = [message for message in run.messages if message.seq > after]
        _same(await store.messages(run.run_id, after), expected, f"messages after {after}")
    _same(await store.entries(run.run_id, 1, limit=2), run.entries[2:4], "a page of entries")
    _same(await store.messages(run.run_id, 1, limit=2), run.messages[2:4], "a page of messages")
    _same(await store.entries(run.run_id, limit=0), [], "a page of nothing")
    middle = run.entries[4]
    context = await store.context(run.run_id, middle.ref)
    seqs = [entry.message.seq for entry in run.entries[:5] if entry.message]
    _same([message.seq for message in context.messages], seqs, "a context ends at its point")
    context = await store.context(run.run_id, middle.ref, run.entries[5:])
    _same(context.messages, run.messages, "a context continues with the entries that it is given")


async def an_unknown_run_is_empty(store: Store) -> None:
    """A run that was never written has nothing, and no context."""
    name = f"unknown-{uuid.uuid4()}"
    _same(await store.entries(name), [], "entries of an unknown run")
    _same(await store.messages(name), [], "messages of an unknown run")
    _same(await store.summary(name), None, "summary of an unknown run")
    _same(await store.head(name), None, "head of an unknown run")
    await _refused(store.context(name, TranscriptRef(seq=0, digest="")), TranscriptUnavailable)


async def opening_and_closing_may_be_repeated(store: Store) -> None:
    """`open` and `close` may be called again, and other methods open by themselves."""
    await store.open()
    await store.open()
    run = SampleRun(turns=1)
    await store.append(run.batch())
    await store.close()
    await store.close()
    await store.head(run.run_id)


async def appending_again_changes_nothing(store: Store) -> None:
    """Repeated and overlapping batches add only new entries; the run never moves back."""
    run = SampleRun(turns=4)
    last = len(run.entries)
    for first, end in ((0, 4), (0, 4), (2, 7), (7, last), (0, 4), (3, last), (0, last)):
        await store.append(run.batch(first, end))
    _same(await store.append(run.batch(0, 4)), run.entries[3].ref, "an old batch is answered with its own last entry")
    _same(await store.entries(run.run_id), run.entries, "entries after duplicates")
    _same(await store.messages(run.run_id), run.messages, "messages after duplicates")
    _same(await store.summary(run.run_id), run.batch().summary, "an old batch does not bring an old summary back")


async def a_gap_is_rejected(store: Store) -> None:
    """A batch with a gap before it is rejected with the seq that is needed, and changes nothing."""
    run = SampleRun(turns=3)
    await _gap(store, run.batch(2, 5), expected=0)
    _same(await store.head(run.run_id), None, "a refused batch leaves nothing")
    await store.append(run.batch(0, 3))
    await _gap(store, run.batch(5, 7), expected=3)
    _same(await store.entries(run.run_id), run.entries[:3], "a refused batch adds nothing")
    _same(await store.append(run.batch(3)), run.head, "sending from the expected entry closes the gap")


async def a_different_past_is_rejected_then_replaced(store: Store) -> None:
    """A mirror with different entries is detected, and is repaired by sending all entries in batches of any size."""
    wrong = SampleRun(turns=4, differs_from=5)
    right = SampleRun(turns=3, run_id=wrong.run_id)
    await store.append(wrong.batch())
    await _gap(store, right.batch(7), expected=0)
    _same(await store.entries(right.run_id), wrong.entries, "a refused batch changes nothing")
    for first in range(0, len(right.entries), 3):
        await store.append(right.batch(first, first + 3))
    _same(await store.entries(right.run_id), right.entries, "entries after a rewrite")
    _same(await store.messages(right.run_id), right.messages, "messages after a rewrite")
    _same(await store.head(right.run_id), right.head, "head after a rewrite")
    _same(await store.summary(right.run_id), right.batch().summary, "summary after a rewrite")


async def a_newer_execution_replaces_an_older_one(store: Store) -> None:
    """When a run id is reused, the newer chain replaces the older one, whose batches no longer change anything."""
    old = SampleRun(turns=4, chain="first chain")
    new = SampleRun(turns=2, chain="second chain", run_id=old.run_id, started_at=old.started_at + timedelta(seconds=1))
    await store.append(old.batch())
    await _gap(store, new.batch(2, 4), expected=0)
    await store.append(new.batch(0, 4))
    _same(await store.messages(new.run_id), new.messages_upto(4), "nothing of the older execution remains")
    _same(await store.append(old.batch()), old.head, "an old writer gets its own head as the answer")
    _same(await store.append(new.batch(4)), new.head, "the newer execution continues")
    _same(await store.entries(new.run_id), new.entries, "entries of the newer execution")
    _same(await store.summary(new.run_id), new.batch().summary, "summary of the newer execution")


async def an_inconsistent_batch_is_rejected(store: Store) -> None:
    """An altered batch is not written."""
    run = SampleRun(turns=2)
    whole = run.batch()
    altered = run.entries[2].model_copy(update={"turn": 7})
    no_message = Entry.chained("", seq=0, at=run.started_at, kind="message", turn=0, data={})
    for bad in (
        whole.model_copy(update={"entries": []}),
        whole.model_copy(update={"entries": [run.entries[0], run.entries[2]]}),
        whole.model_copy(update={"entries": [*run.entries[:2], altered]}),
        whole.model_copy(update={"entries": [no_message]}),
        whole.model_copy(update={"previous_digest": run.head.digest}),
        whole.model_copy(update={"run_id": "another run"}),
        run.batch(1).model_copy(update={"previous_digest": ""}),
        SampleRun(turns=1, run_id="with\0NUL").batch(),
    ):
        await _refused(store.append(bad), UsageError)
    _same(await store.head(run.run_id), None, "a refused batch leaves nothing")


async def a_context_is_never_a_guess(store: Store) -> None:
    """A context beyond the newest entry, or at another digest, is unavailable."""
    run = SampleRun(turns=2)
    await store.append(run.batch())
    beyond = TranscriptRef(seq=run.head.seq + 1, digest=run.head.digest)
    elsewhere = TranscriptRef(seq=run.head.seq, digest=run.entries[1].digest)
    for point in (beyond, elsewhere, TranscriptRef(seq=-1, digest="")):
        await _refused(store.context(run.run_id, point), TranscriptUnavailable)


async def unusual_values_come_back(store: Store) -> None:
    """Every JSON value is stored exactly, and digests stay valid."""
    for case in EDGE_CASES:
        run = SampleRun(turns=1, extra=case.value)
        await store.append(run.batch())
        found = await store.entries(run.run_id)
        _same([entry.digest for entry in found], [entry.digest for entry in run.entries], f"digests with {case.name}")
        previous = ""
        for entry in found:
            _require(entry.follows(previous), f"entries with {case.name} come back as they were")
            previous = entry.digest
        _same((await store.context(run.run_id, run.head)).messages, run.messages, f"messages beside {case.name}")


async def unusual_texts_come_back(store: Store) -> None:
    """Unusual text survives where the mirror projects it to columns: names, arguments, contents, ids."""
    for case in EDGE_CASES:
        if not isinstance(case.value, str) or len(case.value) > 1000:
            continue
        run = SampleRun(turns=1, text=case.value)
        await store.append(run.batch())
        _same(await store.messages(run.run_id), run.messages, f"messages with {case.name}")
        _same(await store.summary(run.run_id), run.batch().summary, f"summary with {case.name}")


async def unusual_run_ids_are_kept_apart(store: Store) -> None:
    """Run ids are values and never part of a query."""
    unique = uuid.uuid4().hex
    names = [f"{unique}{end}" for end in ("", "'", "⟩", "`", "', 0]..['", "/a b\n", ":x", "漢", "..", "1" * 200)]
    runs = [SampleRun(turns=1, run_id=name) for name in (*names, str(uuid.uuid4()), str(uuid.uuid4().int))]
    for run in runs:
        await store.append(run.batch())
    for run in runs:
        _same(await store.entries(run.run_id), run.entries, f"entries of {run.run_id!r}")
        _same(await store.messages(run.run_id), run.messages, f"messages of {run.run_id!r}")
        found = await store.summary(run.run_id)
        _same(found and found.run_id, run.run_id, "the summary is of its run")


async def unusual_numbers_and_times_come_back(store: Store) -> None:
    """Large counts, small costs and times in any zone survive."""
    usage = Usage(requests=2**63, input_tokens=2**40, cost_usd=1e-9)
    at = datetime(1969, 7, 20, 20, 17, 40, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    run = SampleRun(turns=1, usage=usage, started_at=at, status=RunStatus.COMPLETED)
    await store.append(run.batch())
    _same(await store.summary(run.run_id), run.batch().summary, "the summary comes back unchanged")
    _same(await store.entries(run.run_id), run.entries, "times come back unchanged")


async def a_long_run_is_read_whole(store: Store) -> None:
    """A run longer than a page is read completely."""
    run = SampleRun(turns=LONG_RUN // 3)
    for first in range(0, len(run.entries), 500):
        await store.append(run.batch(first, first + 500))
    _same(len(await store.entries(run.run_id, limit=10 * LONG_RUN)), len(run.entries), "all entries are read")
    _same(len(await store.messages(run.run_id, limit=10 * LONG_RUN)), len(run.messages), "all messages are read")
    _same((await store.context(run.run_id, run.head)).messages, run.messages, "the whole context is read")


async def many_runs_at_once_lose_nothing(store: Store) -> None:
    """Concurrent writes and reads of different runs do not affect each other."""
    runs = [SampleRun(turns=4) for _ in range(CONCURRENCY)]

    async def write(run: SampleRun) -> None:
        for first in range(0, len(run.entries), 3):
            await store.append(run.batch(first, first + 3))
            await store.context(run.run_id, run.entries[first].ref)

    await asyncio.gather(*(write(run) for run in runs))
    for run in runs:
        _same(await store.entries(run.run_id), run.entries, "entries after concurrent writes")
        _same(await store.messages(run.run_id), run.messages, "messages after concurrent writes")


async def writers_of_one_run_agree(store: Store) -> None:
    """Concurrent writers of the same batches produce one run."""
    run = SampleRun(turns=6)

    async def write(step: int) -> None:
        for first in range(0, len(run.entries), step):
            await store.append(run.batch(first, first + step))

    await asyncio.gather(*(write(step) for step in (2, 3, 5)))
    _same(await store.entries(run.run_id), run.entries, "entries after three writers")
    _same(await store.head(run.run_id), run.head, "head after three writers")


async def a_cancelled_append_is_written_completely_or_not_at_all(store: Store) -> None:
    """A batch whose caller is cancelled is stored completely or not at all, and the store keeps working."""
    for steps in range(12):
        run = SampleRun(turns=2)
        task = asyncio.create_task(store.append(run.batch()))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        found = await store.entries(run.run_id)
        _require(found in ([], run.entries), "a cancelled append is there whole or not at all")
        _same(await store.append(run.batch()), run.head, "the store works on after a cancelled caller")
        _same(await store.entries(run.run_id), run.entries, "entries after a cancelled caller")


CHECKS: tuple[Check, ...] = (
    appended_entries_come_back,
    pages_and_points_are_exact,
    an_unknown_run_is_empty,
    opening_and_closing_may_be_repeated,
    appending_again_changes_nothing,
    a_gap_is_rejected,
    a_different_past_is_rejected_then_replaced,
    a_newer_execution_replaces_an_older_one,
    an_inconsistent_batch_is_rejected,
    a_context_is_never_a_guess,
    unusual_values_come_back,
    unusual_texts_come_back,
    unusual_run_ids_are_kept_apart,
    unusual_numbers_and_times_come_back,
    a_long_run_is_read_whole,
    many_runs_at_once_lose_nothing,
    writers_of_one_run_agree,
    a_cancelled_append_is_written_completely_or_not_at_all,
    *RUN_CHECKS,
)


async def _gap(store: Store, batch: EntryBatch, expected: int) -> None:
    gap = await _refused(store.append(batch), MirrorGap)
    _require(isinstance(gap, MirrorGap) and gap.expected == expected, f"the gap is said to begin at {expected}")
