"""The mirror in memory, for tests and for runs whose mirror need not outlive the worker."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from typing_extensions import override

from holdfast.inbox import OpenWait
from holdfast.ports import EXTRA, MISSING, RowDifference, Store
from holdfast.progress import Wait
from holdfast.storage.mirror.append_plan import Stored, Write, check_batch, overlap, plan_append
from holdfast.storage.mirror.context import build_context
from holdfast.storage.mirror.json_text import entry_from, entry_text, summary_from, summary_text
from holdfast.types import Context, Entry, EntryBatch, Message, MirroredRun, RunId, RunSummary, TranscriptRef


@dataclass(slots=True)
class _Run:
    stored: Stored
    summary: str
    texts: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


class MemoryStore(Store):
    """A Store in dictionaries; it stores JSON text, so that callers never share objects with it."""

    def __init__(self) -> None:
        self._runs: dict[RunId, _Run] = {}

    async def open(self) -> None:
        """Does nothing."""

    @override
    async def append(self, batch: EntryBatch) -> TranscriptRef:
        check_batch(batch)
        run = self._runs.get(batch.run_id)
        stored = run.stored if run else None
        digests = {seq: run.digests[seq] for seq in overlap(batch, stored)} if run else {}
        step = plan_append(batch, stored, digests)
        if isinstance(step, TranscriptRef):
            return step
        return self._write(batch, step)

    def _write(self, batch: EntryBatch, step: Write) -> TranscriptRef:
        stored, summary = Stored.after(batch), summary_text(batch.summary)
        run = self._runs.setdefault(batch.run_id, _Run(stored, summary))
        if step.cut is None and not batch.summary.status.is_final and summary_from(run.summary).status.is_final:
            summary = run.summary  # the run has ended; entries from before its end arrived late
        if step.cut is not None:
            del run.texts[step.cut :], run.digests[step.cut :]
        run.texts += [entry_text(entry) for entry in step.entries]
        run.digests += [entry.digest for entry in step.entries]
        run.stored, run.summary = stored, summary
        return stored.head

    @override
    async def context(self, run_id: RunId, upto: TranscriptRef, later: Sequence[Entry] = ()) -> Context:
        return build_context(run_id, await self.entries(run_id, limit=upto.seq + 1), upto, later)

    @override
    async def entries(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Entry]:
        run = self._runs.get(run_id)
        start = max(after + 1, 0)
        return [entry_from(text) for text in run.texts[start : start + max(limit, 0)]] if run else []

    @override
    async def messages(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Message]:
        run = self._runs.get(run_id)
        found = (entry_from(text).message for text in run.texts) if run else ()
        return [message for message in found if message and message.seq > after][: max(limit, 0)]

    @override
    async def summary(self, run_id: RunId) -> RunSummary | None:
        run = self._runs.get(run_id)
        return summary_from(run.summary) if run else None

    @override
    async def head(self, run_id: RunId) -> TranscriptRef | None:
        run = self._runs.get(run_id)
        return run.stored.head if run else None

    @override
    async def run(self, run_id: RunId) -> MirroredRun | None:
        run = self._runs.get(run_id)
        return (
            MirroredRun(summary=summary_from(run.summary), chain=run.stored.chain, head=run.stored.head)
            if run
            else None
        )

    @override
    async def is_complete(self, run: MirroredRun) -> bool:
        stored = self._runs.get(run.summary.run_id)
        digests = stored.digests if stored else []
        return len(digests) == run.head.seq + 1 and digests[-1:] == ([run.head.digest] if digests else [])

    @override
    async def runs(self, after: RunId | None = None, limit: int = 1000) -> list[MirroredRun]:
        ids = sorted(run_id for run_id in self._runs if after is None or run_id > after)
        return [run for run_id in ids[:limit] if (run := await self.run(run_id))]

    @override
    async def run_ids(self, after: RunId | None = None, limit: int = 1000, *, unfinished: bool = False) -> list[RunId]:
        runs = await self.runs(after, len(self._runs))
        return [run.summary.run_id for run in runs if not (unfinished and run.summary.status.is_final)][:limit]

    @override
    async def open_waits(self, kinds: Collection[str], limit: int = 1000) -> list[OpenWait]:
        found = []
        for run_id, run in self._runs.items():
            summary = summary_from(run.summary)
            if summary.status.is_final:
                continue
            waits: dict[Any, Wait] = {}
            for entry in map(entry_from, run.texts):
                if entry.kind == "wait":
                    waits[entry.seq] = Wait.model_validate(entry.data["wait"])
                elif entry.kind == "wait_ended":
                    waits.pop(entry.data.get("began"), None)
            found += [
                OpenWait(run_id=run_id, agent=summary.agent, wait=wait) for wait in waits.values() if wait.kind in kinds
            ]
        return sorted(found, key=lambda each: each.wait.since)[:limit]

    @override
    async def conclude(self, run: MirroredRun) -> bool:
        stored = await self.run(run.summary.run_id)
        if stored is None and run.head.seq < 0:
            where = Stored(run.chain, run.summary.started_at, run.head)
            self._runs[run.summary.run_id] = _Run(where, summary_text(run.summary))
            return True
        if stored is None or stored.summary.status.is_final or (stored.chain, stored.head) != (run.chain, run.head):
            return False
        self._runs[run.summary.run_id].summary = summary_text(run.summary)
        return True

    @override
    async def differences(self, log: EntryBatch) -> list[RowDifference]:
        run = self._runs.get(log.run_id)
        wanted = [entry_text(entry) for entry in log.entries]
        found = run.texts if run else []
        differences = [
            RowDifference(
                "event", seq, MISSING if right and not text else EXTRA if text and not right else "altered: text"
            )
            for seq, (text, right) in enumerate(zip_longest(found, wanted))
            if text != right
        ]
        if run is None:
            return [*differences, RowDifference("run", None, MISSING)]
        is_right = (run.stored, run.summary) == (Stored.after(log), summary_text(log.summary))
        return differences if is_right else [*differences, RowDifference("run", None, "altered: text")]

    @override
    async def repair(self, log: EntryBatch, seen: TranscriptRef | None) -> bool:
        check_batch(log)
        if await self.head(log.run_id) != seen:
            return False
        self._runs.pop(log.run_id, None)
        self._write(log, Write(log.entries, cut=None))
        return True

    @override
    async def delete(self, run_id: RunId, *, seen: TranscriptRef | None = None) -> None:
        if seen is None or await self.head(run_id) == seen:
            self._runs.pop(run_id, None)

    async def close(self) -> None:
        """Does nothing; the data stays."""
