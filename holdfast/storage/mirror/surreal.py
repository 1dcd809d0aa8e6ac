"""The mirror in SurrealDB, embedded or on a server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from surrealdb import RecordID
from typing_extensions import override

from holdfast.errors import MirrorDamaged, StoreUnavailable, TranscriptUnavailable
from holdfast.inbox import OpenWait
from holdfast.ports import Cipher, RowDifference, Store
from holdfast.storage.database import Database, WriteConflict, retry_conflicts
from holdfast.storage.database.surql import statement, transaction
from holdfast.storage.mirror.append_plan import Stored, check_batch, continues, overlap, plan_append
from holdfast.storage.mirror.context import build_context
from holdfast.storage.mirror.json_text import entry_from, summary_from, wait_from
from holdfast.storage.mirror.row_encryption import decrypt_text, encrypt_row, encrypt_rows
from holdfast.storage.mirror.rows import Row, event_id, project, run_id, summary_row
from holdfast.storage.mirror.surreal_rows import SurrealRows
from holdfast.types import (
    FINAL_STATUSES,
    Context,
    Entry,
    EntryBatch,
    Message,
    MirroredRun,
    RunId,
    RunStatus,
    RunSummary,
    TranscriptRef,
)

APPEND = transaction("holdfast.storage.mirror", "append")
DELETE = statement("holdfast.storage.mirror", "delete")
DELETE_PART = statement("holdfast.storage.mirror", "delete_part")
TRUNCATE = statement("holdfast.storage.mirror", "truncate")
STORED = "SELECT chain, started_at, head, digest FROM ONLY $run"
RUN = "SELECT chain, head, digest, text FROM ONLY $run"
RUNS = "SELECT chain, head, digest, text FROM {{record}}('run', $after>..) LIMIT $limit"
IDS = "SELECT VALUE id FROM {{record}}('run', $after>..) LIMIT $limit"
UNFINISHED = "SELECT VALUE id FROM run WHERE status IN $open AND id > $last ORDER BY id LIMIT $limit"
CONCLUDE_UNBEGUN = "INSERT IGNORE INTO run $row RETURN VALUE head"
CONCLUDE = """UPDATE $run MERGE $row
    WHERE [chain, head, digest] = $expected AND status NOT IN $final RETURN VALUE head"""
OPEN_WAITS = """SELECT run, run.agent AS agent, since, text FROM wait
    WHERE open = true AND kind IN $kinds AND run.status NOT IN $final ORDER BY since LIMIT $limit"""
SUMMARY = "SELECT VALUE text FROM ONLY $run"
REST = "SELECT VALUE id FROM event:[$id, NONE]..=[$id, ..] LIMIT 1"
DIGESTS = "SELECT id[1] AS seq, digest FROM event:[$id, $first]..=[$id, $last]"
COMPLETENESS = """RETURN [
    (SELECT VALUE total FROM (SELECT count() AS total FROM event:[$id, 0]..=[$id, ..] GROUP ALL))[0] ?? 0,
    $newest.digest
]"""
ENTRIES = "SELECT VALUE text FROM event:[$id, $first]..=[$id, ..] LIMIT $limit"
MESSAGES = "SELECT VALUE entry.text FROM message:[$id, $first]..=[$id, ..] LIMIT $limit"

OPEN = sorted(status.value for status in RunStatus if not status.is_final)
FINAL = sorted(status.value for status in FINAL_STATUSES)
PAGE = 200  # rows per statement, usually some 0.5 MB, so that other statements run in between
DELETED_AT_ONCE = 2000  # entries per statement, with all their rows: some 0.3 s
REMEMBERED_RUNS = 4096  # some 300 bytes each


class SurrealStore(Store):
    """A Store on SurrealDB.

    Each batch is one transaction, or two if it replaces entries: the first deletes them.

    Args:
        database: the database of the mirror; it is closed with the store.
        cipher: encrypts the content of runs; `None` stores it in plain text.
    """

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        self._database = database
        self._cipher = cipher
        self._rows = SurrealRows(database, cipher)
        self._written: dict[RunId, Stored] = {}
        """The newest entry of each run that this store wrote, oldest first. Only a hint: each write verifies it."""

    @override
    async def open(self) -> None:
        await self._database.open()

    @override
    async def append(self, batch: EntryBatch) -> TranscriptRef:
        check_batch(batch)
        if batch.entries[0].seq == 0 and batch.run_id not in self._written:
            with contextlib.suppress(WriteConflict):  # the mirror has the run, or what is left of one
                return await self._write(batch, batch.entries, None)
        return await retry_conflicts(lambda: self._append(batch), f"run {batch.run_id!r}")

    @override
    async def context(self, run_id: RunId, upto: TranscriptRef, later: Sequence[Entry] = ()) -> Context:
        try:
            entries = await self.entries(run_id, limit=upto.seq + 1)
        except MirrorDamaged as error:
            raise TranscriptUnavailable(f"the mirror of run {run_id!r} cannot be read: {error}") from error
        return await asyncio.to_thread(
            build_context, run_id, entries, upto, later
        )  # some 30 µs an entry, too long for the event loop

    @override
    async def entries(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < limit:
            page = min(PAGE, limit - len(found))
            [texts] = await self._database.run(ENTRIES, id=run_id, first=after + 1, limit=page)
            found += [entry_from(decrypt_text(text, self._cipher)) for text in texts]
            if len(texts) < page:
                break
            after = found[-1].seq
        return found

    @override
    async def messages(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Message]:
        found: list[Message] = []
        while len(found) < limit:
            page = min(PAGE, limit - len(found))
            [texts] = await self._database.run(MESSAGES, id=run_id, first=after + 1, limit=page)
            entries = [entry_from(decrypt_text(text, self._cipher)) for text in texts]
            found += [message for entry in entries if (message := entry.message)]
            if len(texts) < page:
                break
            after = found[-1].seq
        return found

    @override
    async def summary(self, run_id: RunId) -> RunSummary | None:
        text = await self._read_run(SUMMARY, run_id)
        return None if text is None else summary_from(decrypt_text(text, self._cipher))

    @override
    async def head(self, run_id: RunId) -> TranscriptRef | None:
        stored = await self._stored(run_id)
        return stored.head if stored else None

    @override
    async def run(self, run_id: RunId) -> MirroredRun | None:
        row = await self._read_run(RUN, run_id)
        return None if row is None else self._mirrored(row)

    @override
    async def is_complete(self, run: MirroredRun) -> bool:
        newest = event_id(run.summary.run_id, run.head.seq)
        [found] = await self._database.run(COMPLETENESS, id=run.summary.run_id, newest=newest)
        return list(found) == [run.head.seq + 1, run.head.digest if run.head.seq >= 0 else None]

    @override
    async def runs(self, after: RunId | None = None, limit: int = 1000) -> list[MirroredRun]:
        [rows] = await self._database.run(RUNS, after=after or "", limit=limit)
        return [self._mirrored(row) for row in rows]

    @override
    async def run_ids(self, after: RunId | None = None, limit: int = 1000, *, unfinished: bool = False) -> list[RunId]:
        values: dict[str, Any] = {"open": OPEN, "last": run_id(after or "")} if unfinished else {"after": after or ""}
        [ids] = await self._database.run(UNFINISHED if unfinished else IDS, limit=limit, **values)
        return [str(each.id) for each in ids]

    @override
    async def open_waits(self, kinds: Collection[str], limit: int = 1000) -> list[OpenWait]:
        [rows] = await self._database.run(OPEN_WAITS, kinds=sorted(kinds), final=FINAL, limit=limit)
        return [
            OpenWait(run_id=row["run"].id, agent=row["agent"], wait=wait_from(decrypt_text(row["text"], self._cipher)))
            for row in rows
        ]

    @override
    async def conclude(self, run: MirroredRun) -> bool:
        place: Row = {"chain": run.chain, "head": run.head.seq, "digest": run.head.digest}
        row = encrypt_row(summary_row(run.summary) | place, self._cipher)
        conclude = partial(
            self._database.run,
            CONCLUDE_UNBEGUN if run.head.seq < 0 else CONCLUDE,
            run=row["id"],
            row={name: value for name, value in row.items() if name != "id" or run.head.seq < 0},
            expected=list(place.values()),
            final=FINAL,
        )
        [changed] = await retry_conflicts(conclude, f"run {run.summary.run_id!r}")
        return bool(changed)

    @override
    async def differences(self, log: EntryBatch) -> list[RowDifference]:
        return [each.difference for each in await self._rows.differences(log)]

    @override
    async def repair(self, log: EntryBatch, seen: TranscriptRef | None) -> bool:
        check_batch(log)
        self._written.pop(log.run_id, None)
        return await self._rows.repair(log, seen)

    @override
    async def delete(self, run_id: RunId, *, seen: TranscriptRef | None = None) -> None:
        self._written.pop(run_id, None)
        values: dict[str, Any] = {"id": run_id, "run": RecordID("run", run_id)}
        if seen is None:
            await self._database.run(DELETE, **values, seen=None)
            return
        values["seen"] = [seen.seq, seen.digest]
        with contextlib.suppress(WriteConflict):
            for first in range(0, seen.seq - DELETED_AT_ONCE, DELETED_AT_ONCE):
                await self._database.run(DELETE_PART, **values, first=first, last=first + DELETED_AT_ONCE - 1)
            await self._database.run(DELETE, **values)

    @override
    async def close(self) -> None:
        self._written.clear()
        await self._database.close()

    async def _append(self, batch: EntryBatch) -> TranscriptRef:
        stored, digests = await self._position(batch)
        step = plan_append(batch, stored, digests)
        if isinstance(step, TranscriptRef):
            return step
        if step.cut is not None and (stored or await self._has_rest(batch.run_id)):
            stored = await self._truncate(batch, step.cut, stored)
        return await self._write(batch, step.entries, stored)

    async def _position(self, batch: EntryBatch) -> tuple[Stored | None, dict[int, str]]:
        """Returns where the mirror of a run ends, and the digests of its entries that the batch is compared with."""
        remembered = self._written.pop(batch.run_id, None)  # remembered again after a successful write
        if remembered and continues(batch, remembered):
            return remembered, {remembered.head.seq: remembered.head.digest}
        stored = await self._stored(batch.run_id)
        return stored, await self._digests(batch, stored)

    async def _stored(self, run: RunId) -> Stored | None:
        row = await self._read_run(STORED, run)
        if row is None:
            return None
        return Stored(row["chain"], row["started_at"], TranscriptRef(seq=row["head"], digest=row["digest"]))

    async def _read_run(self, statement: str, run: RunId) -> Any:
        [found] = await self._database.run(statement, run=run_id(run))
        return found

    async def _digests(self, batch: EntryBatch, stored: Stored | None) -> dict[int, str]:
        seqs = overlap(batch, stored)
        if not seqs:
            return {}
        [rows] = await self._database.run(DIGESTS, id=batch.run_id, first=seqs[0], last=seqs[-1])
        return {row["seq"]: row["digest"] for row in rows}

    async def _has_rest(self, run: RunId) -> bool:
        """Whether a run without a row has others, of an interrupted deletion, which deletes its events last."""
        [found] = await self._database.run(REST, id=run)
        return bool(found)

    async def _truncate(self, batch: EntryBatch, cut: int, stored: Stored | None) -> Stored | None:
        """Deletes the entries of a run from `cut` onward; returns what is left."""
        before = {entry.seq: entry.digest for entry in batch.entries} | {
            batch.entries[0].seq - 1: batch.previous_digest
        }
        await self._database.run(
            TRUNCATE,
            id=batch.run_id,
            run=run_id(batch.run_id),
            expected=_expected_row(stored),
            cut=cut,
            first=event_id(batch.run_id, cut),
            previous=before[cut - 1],
        )
        if stored is None or cut == 0:
            return None
        return replace(stored, head=TranscriptRef(seq=cut - 1, digest=before[cut - 1]))

    async def _write(self, batch: EntryBatch, entries: Sequence[Entry], stored: Stored | None) -> TranscriptRef:
        """Writes `entries`, the last ones of `batch`, after those that the mirror has by `stored`."""
        begins = entries[0].seq == 0
        rows = project(batch, entries)
        if begins:
            rows.close_turns(after=-1)
        elif stored is not None and stored.turn is not None:
            rows.close_turns(after=stored.turn)
        encrypt_rows(rows, self._cipher)
        skipped = entries[0].seq - batch.entries[0].seq
        values = {
            "id": batch.run_id,
            "run": rows.run["id"],
            "expected": _expected_row(stored),
            "begins": begins,
            "before": None if begins else event_id(batch.run_id, entries[0].seq - 1),
            "previous": batch.entries[skipped - 1].digest if skipped else batch.previous_digest,
            "final": FINAL,
            "row": rows.run,
        } | rows.tables()
        results = await self._database.run(APPEND.text(values), **values)
        if [rows.run["head"]] not in results:  # the database does not report a write that permissions forbid
            raise StoreUnavailable(
                f"the database ignored entries of run {batch.run_id!r}: check that its user may write"
            )
        self._remember(batch)
        return batch.entries[-1].ref

    def _mirrored(self, row: dict[str, Any]) -> MirroredRun:
        head = TranscriptRef(seq=row["head"], digest=row["digest"])
        return MirroredRun(summary=summary_from(decrypt_text(row["text"], self._cipher)), chain=row["chain"], head=head)

    def _remember(self, batch: EntryBatch) -> None:
        if batch.summary.status.is_final:
            return
        self._written[batch.run_id] = Stored.after(batch)
        if len(self._written) > REMEMBERED_RUNS:
            del self._written[next(iter(self._written))]


def _expected_row(stored: Stored | None) -> list[str | None]:
    """Returns the chain and digest that a run's row must still have when a write is applied."""
    return [stored.chain, stored.head.digest] if stored else [None, None]
