"""The log of a run that another one copies: from the mirror, with its digests checked, or from Temporal's history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from holdfast.errors import MirrorDamaged, QueryRefused, RunNotFound, StoreUnavailable, UsageError, WorkerUnavailable
from holdfast.fork_of import ForkOf
from holdfast.forking import point_of
from holdfast.ports import RunLog, Store
from holdfast.protocol import RunSnapshot
from holdfast.types import Entry, MirroredRun, RunId, TranscriptRef

PAGE = 500  # entries read from the mirror at once


@dataclass(frozen=True, slots=True)
class ReadLog:
    """The log of a run, from entry 0, in which each entry follows the one before."""

    chain: str
    entries: list[Entry]
    missing: str | None = None
    """Why newer entries cannot be read; `None` if these are all."""


class PrefixReader:
    """Reads the log of a run, open or closed, also if Temporal or the mirror no longer has it.

    The mirror's entries are used if their digests lead to the head that Temporal has, or if Temporal has none.

    Args:
        run_log: reads Temporal's history.
        store: the mirror; `None` means that this process cannot reach it.
    """

    def __init__(self, run_log: RunLog, store: Store | None) -> None:
        self._run_log = run_log
        self._store = store

    async def prefix(self, fork: ForkOf) -> tuple[str, list[Entry]]:
        """Returns the chain of a run and the entries that a fork of it copies.

        Raises:
            RunNotFound: neither Temporal nor the mirror has the run.
            UsageError: it has no such point, or what is there now is not what the fork was made of.
            MirrorDamaged: the mirror was altered.
            StoreUnavailable: Temporal no longer has the run, and the mirror is unavailable.
            WorkerUnavailable: the point is only known to a worker, and none answers.
        """
        log = await self.read(fork.run, fork.seq, fork.digest)
        if fork.chain not in (None, log.chain):
            raise UsageError(f"run {fork.run!r} is another run with the same id now: fork that one, if you want to")
        try:
            seq = _seq_of(log, fork)
        except UsageError as error:
            if log.missing is None:
                raise
            raise WorkerUnavailable(f"{error}, and its newest entries cannot be read: {log.missing}") from None
        entries = log.entries[: seq + 1]
        if fork.digest not in (None, entries[-1].digest):
            raise UsageError(
                f"entry {seq} of run {fork.run!r} has another digest than the one to fork: "
                "the run was reset meanwhile, or its mirror was altered; fork it again"
            )
        return log.chain, entries

    async def read(self, run_id: RunId, upto: int | None = None, digest: str | None = None) -> ReadLog:
        """Returns the log of a run; raises what `prefix` raises.

        Args:
            run_id: the run.
            upto: entries after this one are not needed; `None` means that all are, so that their head is checked too.
            digest: of entry `upto`, if it is known.
        """
        snapshot, missing = await self._snapshot(run_id)
        is_in_temporal = snapshot is not None or missing is not None
        try:
            stored = await self._stored(run_id, snapshot.run.chain if snapshot else None, upto)
        except StoreUnavailable:
            if not is_in_temporal:
                raise
            stored = None
        if snapshot is not None:
            entries = stored.entries if stored else []
            return ReadLog(snapshot.run.chain, await self._completed(run_id, entries, snapshot.run.head, upto, digest))
        if missing is not None:
            return await self._rest(run_id, stored, missing)
        if stored is None:
            raise RunNotFound(f"no run {run_id!r}: neither Temporal nor the mirror has it")
        return stored

    async def _stored(self, run_id: RunId, chain: str | None, upto: int | None) -> ReadLog | None:
        """Returns what the mirror has of a run, if it is of this chain; `None` as the chain accepts any."""
        row = await self._store.run(run_id) if self._store else None
        if row is None or row.head.seq < 0 or chain not in (None, row.chain):
            return None
        return ReadLog(row.chain, await self._mirrored(row, upto))

    async def _snapshot(self, run_id: RunId) -> tuple[RunSnapshot | None, str | None]:
        """Returns what Temporal says of a run, or why it cannot; both are `None` if Temporal does not have it."""
        try:
            return await self._run_log.snapshot(run_id), None
        except RunNotFound:
            return None, None
        except (WorkerUnavailable, QueryRefused) as error:
            return None, str(error)

    async def _mirrored(self, row: MirroredRun, upto: int | None) -> list[Entry]:
        """Returns the mirror's entries up to the head of its row.

        Raises:
            MirrorDamaged: an entry is missing, or does not follow the one before it.
        """
        assert self._store is not None
        run_id, found, previous = row.summary.run_id, list[Entry](), ""
        last = row.head.seq if upto is None else min(upto, row.head.seq)
        while len(found) <= last:
            page = await self._store.entries(run_id, len(found) - 1, min(PAGE, last + 1 - len(found)))
            if not page:
                raise _damaged(run_id, len(found), "is missing")
            for entry in page:
                if entry.seq != len(found):
                    raise _damaged(run_id, len(found), "is missing")
                if not entry.follows(previous):
                    raise _damaged(run_id, entry.seq, "was altered, or does not follow the one before it")
                found.append(entry)
                previous = entry.digest
        if last == row.head.seq and previous != row.head.digest:
            raise _damaged(run_id, last, "has another digest than the row of the run")
        return found

    async def _completed(
        self, run_id: RunId, entries: list[Entry], head: TranscriptRef, upto: int | None, digest: str | None
    ) -> list[Entry]:
        """Returns the mirror's entries if they lead to the head, completed or replaced by those of the history."""
        if upto is not None and len(entries) > upto and digest in (None, entries[upto].digest):
            return entries
        if digest is None and _leads_to(head, entries):
            return entries[: head.seq + 1]
        if len(entries) <= head.seq:
            rest = await _all(self._run_log.entries(run_id, len(entries) - 1), upto)
            if not rest or rest[0].follows(entries[-1].digest if entries else ""):
                return [*entries, *rest]
        return await _all(self._run_log.entries(run_id), upto)  # the mirror is as of before a reset

    async def _rest(self, run_id: RunId, stored: ReadLog | None, missing: str) -> ReadLog:
        """Returns what can be read of a run about which no worker answers."""
        entries = list(stored.entries) if stored else []
        with suppress(WorkerUnavailable, QueryRefused, RunNotFound):
            async for entry in self._run_log.entries(run_id, len(entries) - 1):
                if not entry.follows(entries[-1].digest if entries else ""):
                    break
                entries.append(entry)
        chain = stored.chain if stored else (await self._run_log.latest(run_id)).chain
        return ReadLog(chain, entries, missing)


def _leads_to(head: TranscriptRef, entries: list[Entry]) -> bool:
    if head.seq < 0:
        return True
    return len(entries) > head.seq and head.digest in ("", entries[head.seq].digest)


def _seq_of(log: ReadLog, fork: ForkOf) -> int:
    if fork.seq is None:
        return point_of(log.entries, fork.at, fork.run)
    if not 0 <= fork.seq < len(log.entries):
        raise UsageError(f"run {fork.run!r} has no entry {fork.seq}, only 0 to {len(log.entries) - 1}")
    return fork.seq


async def _all(entries: AsyncIterator[Entry], upto: int | None) -> list[Entry]:
    found = []
    async for entry in entries:
        found.append(entry)
        if entry.seq == upto:
            break
    return found


def _damaged(run_id: RunId, seq: int, what: str) -> MirrorDamaged:
    return MirrorDamaged(
        f"entry {seq} in the mirror of run {run_id!r} {what}: a fork copies only what its digests prove. "
        f"While Temporal has the run, `doctor rebuild {run_id}` repairs the mirror"
    )
