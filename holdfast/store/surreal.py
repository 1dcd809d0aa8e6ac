"""The mirror in SurrealDB, embedded or on a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from surrealdb import RecordID

from holdfast.database import Database, Overtaken
from holdfast.database.surql import statement
from holdfast.errors import StoreUnavailable
from holdfast.store.decision import Stored, check, continues, decide, overlap
from holdfast.store.exact import entry_from, summary_from
from holdfast.store.rows import event_id, project, run_id, summary_row
from holdfast.store.transcript import context_of
from holdfast.types import (
    FINAL_STATUSES,
    Context,
    Entry,
    EntryBatch,
    Message,
    MirroredRun,
    RunId,
    RunSummary,
    TranscriptRef,
)

APPEND = statement("holdfast.store", "append")
DELETE = statement("holdfast.store", "delete")
TRUNCATE = statement("holdfast.store", "truncate")
STORED = "SELECT chain, started_at, head, digest FROM ONLY $run"
RUN = "SELECT chain, head, digest, text FROM ONLY $run"
RUNS = "SELECT id, chain, head, digest, text FROM run WHERE id > $after ORDER BY id LIMIT $limit"
CONCLUDE = """UPDATE $run MERGE $row
    WHERE [chain, head, digest] = $expected AND status NOT IN $final RETURN VALUE head"""
SUMMARY = "SELECT VALUE text FROM ONLY $run"
DIGESTS = "SELECT id[1] AS seq, digest FROM event:[$id, $first]..=[$id, $last]"
ENTRIES = "SELECT VALUE text FROM event:[$id, $first]..=[$id, ..] LIMIT $limit"
MESSAGES = "SELECT VALUE entry.text FROM message:[$id, $first]..=[$id, ..] LIMIT $limit"

PAGE = 200  # rows a statement reads: some 0.5 MB as a rule, and others get their turn in between
WRITE_ATTEMPTS = 5  # writers of one run at once are two at most: an activity, and its retry
REMEMBERED_RUNS = 4096  # some 300 bytes each


class SurrealStore:
    """A Store on SurrealDB.

    A batch is one transaction. Only one that replaces what is stored is two: what it replaces goes first.

    Args:
        database: where it is kept; closed with the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._written: dict[RunId, Stored] = {}
        """Where runs ended when this store last wrote them, oldest first; only a hint, which each write verifies."""

    async def open(self) -> None:
        """See `holdfast.ports.Store.open`."""
        await self._database.open()

    async def append(self, batch: EntryBatch) -> TranscriptRef:
        """See `holdfast.ports.Store.append`."""
        check(batch)
        for _ in range(WRITE_ATTEMPTS):
            stored = await self._where_it_ends(batch)
            step = decide(batch, stored, await self._digests(batch, stored))
            if isinstance(step, TranscriptRef):
                return step
            try:
                if step.cut is not None:
                    stored = await self._truncate(batch, step.cut, stored)
                await self._write(batch, step.entries, stored)
            except Overtaken:
                continue
            self._remember(batch)
            return batch.entries[-1].ref
        raise StoreUnavailable(
            f"run {batch.run_id!r} has other writers, who came first {WRITE_ATTEMPTS} times in a row"
        )

    async def context(self, run_id: RunId, upto: TranscriptRef) -> Context:
        """See `holdfast.ports.Store.context`."""
        entries = await self.entries(run_id, limit=upto.seq + 1)
        return await asyncio.to_thread(context_of, run_id, entries, upto)  # some 30 µs an entry: too long for the loop

    async def entries(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Entry]:
        """See `holdfast.ports.Store.entries`."""
        found: list[Entry] = []
        while len(found) < limit:
            page = min(PAGE, limit - len(found))
            [texts] = await self._database.run(ENTRIES, id=run_id, first=after + 1, limit=page)
            found += [entry_from(text) for text in texts]
            if len(texts) < page:
                break
            after = found[-1].seq
        return found

    async def messages(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Message]:
        """See `holdfast.ports.Store.messages`."""
        found: list[Message] = []
        while len(found) < limit:
            page = min(PAGE, limit - len(found))
            [texts] = await self._database.run(MESSAGES, id=run_id, first=after + 1, limit=page)
            found += [message for text in texts if (message := entry_from(text).message)]
            if len(texts) < page:
                break
            after = found[-1].seq
        return found

    async def summary(self, run_id: RunId) -> RunSummary | None:
        """See `holdfast.ports.Store.summary`."""
        text = await self._read_run(SUMMARY, run_id)
        return None if text is None else summary_from(text)

    async def head(self, run_id: RunId) -> TranscriptRef | None:
        """See `holdfast.ports.Store.head`."""
        stored = await self._stored(run_id)
        return stored.head if stored else None

    async def run(self, run_id: RunId) -> MirroredRun | None:
        """See `holdfast.ports.Store.run`."""
        row = await self._read_run(RUN, run_id)
        return None if row is None else _mirrored(row)

    async def runs(self, after: RunId | None = None, limit: int = 1000) -> list[MirroredRun]:
        """See `holdfast.ports.Store.runs`."""
        [rows] = await self._database.run(RUNS, after=run_id("" if after is None else after), limit=limit)
        return [_mirrored(row) for row in rows]

    async def conclude(self, run: MirroredRun) -> bool:
        """See `holdfast.ports.Store.conclude`."""
        row = summary_row(run.summary)
        [changed] = await self._database.run(
            CONCLUDE,
            run=row.pop("id"),
            row=row,
            expected=[run.chain, run.head.seq, run.head.digest],
            final=sorted(FINAL_STATUSES),
        )
        return bool(changed)

    async def delete(self, run_id: RunId) -> None:
        """See `holdfast.ports.Store.delete`."""
        self._written.pop(run_id, None)
        await self._database.run(DELETE, id=run_id, run=RecordID("run", run_id))

    async def close(self) -> None:
        """See `holdfast.ports.Store.close`."""
        self._written.clear()
        await self._database.close()

    async def _where_it_ends(self, batch: EntryBatch) -> Stored | None:
        remembered = self._written.pop(batch.run_id, None)  # comes back only with a write that went well
        if remembered and continues(batch, remembered):
            return remembered
        return await self._stored(batch.run_id)

    async def _stored(self, run: RunId) -> Stored | None:
        row = await self._read_run(STORED, run)
        if row is None:
            return None
        return Stored(row["chain"], row["started_at"], TranscriptRef(seq=row["head"], digest=row["digest"]))

    async def _read_run(self, statement: str, run: RunId) -> Any:
        [found] = await self._database.run(statement, run=run_id(run))
        return found

    async def _digests(self, batch: EntryBatch, stored: Stored | None) -> dict[int, str]:
        if stored and continues(batch, stored):
            return {stored.head.seq: stored.head.digest}
        seqs = overlap(batch, stored)
        if not seqs:
            return {}
        [rows] = await self._database.run(DIGESTS, id=batch.run_id, first=seqs[0], last=seqs[-1])
        return {row["seq"]: row["digest"] for row in rows}

    async def _truncate(self, batch: EntryBatch, cut: int, stored: Stored | None) -> Stored | None:
        """Takes the run back to before entry `cut`; gives where it then ends."""
        before = {entry.seq: entry.digest for entry in batch.entries} | {
            batch.entries[0].seq - 1: batch.previous_digest
        }
        await self._database.run(
            TRUNCATE,
            id=batch.run_id,
            run=run_id(batch.run_id),
            expected=_stamp(stored),
            cut=cut,
            first=event_id(batch.run_id, cut),
            previous=before[cut - 1],
        )
        if stored is None or cut == 0:
            return None
        return replace(stored, head=TranscriptRef(seq=cut - 1, digest=before[cut - 1]))

    async def _write(self, batch: EntryBatch, entries: Sequence[Entry], stored: Stored | None) -> None:
        rows = project(batch, entries)
        results = await self._database.run(
            APPEND,
            run=rows.run["id"],
            expected=_stamp(stored),
            events=rows.events,
            messages=rows.messages,
            tool_calls=list(rows.tool_calls.values()),
            row=rows.run,
        )
        if [rows.run["head"]] not in results:  # a write that permissions forbid is no error to the database
            raise StoreUnavailable(f"the database did not take entries of run {batch.run_id!r}: may its user write?")

    def _remember(self, batch: EntryBatch) -> None:
        if batch.summary.status.is_final:
            return
        self._written[batch.run_id] = Stored.after(batch)
        if len(self._written) > REMEMBERED_RUNS:
            del self._written[next(iter(self._written))]


def _mirrored(row: dict[str, Any]) -> MirroredRun:
    head = TranscriptRef(seq=row["head"], digest=row["digest"])
    return MirroredRun(summary=summary_from(row["text"]), chain=row["chain"], head=head)


def _stamp(stored: Stored | None) -> list[str | None]:
    """What a run's row must show for a write to be in time."""
    return [stored.chain, stored.head.digest] if stored else [None, None]
