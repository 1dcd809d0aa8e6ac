"""The event log in SurrealDB, embedded or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from typing_extensions import override

from holdfast.errors import StoreUnavailable
from holdfast.ports import Cipher
from holdfast.storage.bus.log import EventLog, Page, Publication, Stored
from holdfast.storage.bus.rows import event_rows, pruned_rows, topic_id, topic_rows
from holdfast.storage.database import Database, Watch, WriteConflict, old_rows, retry_conflicts
from holdfast.storage.database.ephemeral import call_ephemeral
from holdfast.storage.database.surql import statement

TABLE = "bus"
PUBLISH = statement("holdfast.storage.bus", "publish")
PRUNE = statement("holdfast.storage.bus", "prune")
KNOWN = "SELECT key, id[1] AS offset FROM bus WHERE key IN $keys"
READ = """
RETURN [$row.last ?? 0, $row.pruned ?? 0];
SELECT id[1] AS offset, text, at, ephemeral FROM bus:[$topic, $first]..=[$topic, ..] LIMIT $limit
"""
HEADS = "SELECT id, last, lasting FROM $rows"
DISCARD = "DELETE bus:[$topic, 0]..=[$topic, $upto] WHERE ephemeral RETURN NONE"
OLD = "SELECT id, ephemeral FROM bus WHERE at < $before LIMIT $limit"
PRUNE_TOPICS = "DELETE bus_topic WHERE lasting = NONE AND at < $before RETURN NONE"

KEPT_EPHEMERAL = 2000  # of one topic, on a server; an embedded database has `ephemeral.MAX_EVENTS`
TRIM_EVERY = 500  # offsets between two deletions of older ephemeral events


class SurrealLog(EventLog):
    """An EventLog on SurrealDB.

    Lasting events are rows. On a server, ephemeral events are rows too, deleted when they are discarded. With an
    embedded database they are ephemeral events in memory.

    Args:
        database: the database; it is not closed with the log.
        cipher: encrypts the data of events; `None` stores it in plain text. Topics are never encrypted.
    """

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        self._database = database
        self._cipher = cipher

    @override
    async def append(self, publications: Sequence[Publication]) -> list[int]:
        ephemeral = [each for each in publications if each.ephemeral]
        numbers = await self._add_ephemeral(ephemeral) if ephemeral else None
        offsets = (
            {} if numbers is None else {each.mark: number for each, number in zip(ephemeral, numbers, strict=True)}
        )
        rows = [each for each in publications if each.mark not in offsets]
        if rows:
            offsets |= await self._write(rows)
        return [offsets[each.mark] for each in publications]

    @override
    async def read(self, topic: str, after: int, limit: int) -> Page:
        values = {"row": topic_id(topic), "topic": topic, "first": after + 1, "limit": limit}
        [[last, pruned], rows] = await self._database.run(READ, **values)
        events = [Stored(row["offset"], self._decrypt(row["text"]), row["at"], row["ephemeral"]) for row in rows]
        is_last = len(rows) < limit
        # Read after the rows, and only up to their newest offset, so that no row with a lower offset can appear later.
        upto = last if is_last else events[-1].offset
        ephemeral = await call_ephemeral(self._database, "read", topic=topic, after=after, upto=upto)
        if ephemeral:
            events += [
                Stored(offset, text, datetime.fromtimestamp(at, UTC), ephemeral=True) for offset, text, at in ephemeral
            ]
            events.sort(key=attrgetter("offset"))
        return Page(events, pruned, is_last)

    @override
    async def heads(self, topics: Sequence[str]) -> dict[str, int]:
        [rows] = await self._database.run(HEADS, rows=[topic_id(topic) for topic in topics])
        found = {row["id"].id: row for row in rows}
        newest: list[int] | None = await call_ephemeral(self._database, "newest", topics=list(topics))
        if newest is None:
            return {topic: found[topic]["last"] if topic in found else 0 for topic in topics}
        lasting = {topic: row.get("lasting") or 0 for topic, row in found.items()}
        return {topic: max(number, lasting.get(topic, 0)) for topic, number in zip(topics, newest, strict=True)}

    @override
    async def discard(self, topic: str, upto: int) -> None:
        if await call_ephemeral(self._database, "delete", topic=topic, upto=upto) is None:
            await self._database.run(DISCARD, topic=topic, upto=upto)

    @override
    async def prune(self, before: datetime) -> int:
        before, pruned = before.astimezone(UTC), 0
        async for rows in old_rows(self._database, OLD, before=before):
            await self._drop(PRUNE, topics=pruned_rows(rows), events=[row["id"] for row in rows])
            pruned += len(rows)
        await self._drop(PRUNE_TOPICS, before=before)
        return pruned

    @override
    def watch(self) -> AbstractAsyncContextManager[Watch]:
        return self._database.watch(TABLE)

    @override
    def is_watched(self) -> bool:
        return self._database.is_watched(TABLE)

    @override
    def announce(self) -> None:
        self._database.touch(TABLE)

    async def _add_ephemeral(self, publications: Sequence[Publication]) -> list[int] | None:
        """Returns the last offset of each; `None` if the database has no ephemeral events."""
        groups = [[each.topic, list(each.texts)] for each in publications]
        numbers: list[int] | None = await call_ephemeral(self._database, "add", groups=groups)
        return numbers

    async def _write(self, publications: Sequence[Publication]) -> dict[str, int]:
        """Returns the offset of each publication by its mark; earlier publications of a key keep theirs."""
        wanted = {each.mark: each for each in publications}
        offsets: dict[str, int] = {}  # which keys exist is asked only after a conflict: hardly any is published again

        async def publish() -> dict[str, int]:
            lacking = [each for mark, each in wanted.items() if mark not in offsets]
            try:
                return offsets | (await self._publish(lacking) if lacking else {})
            except WriteConflict:
                offsets.update(await self._known(wanted))
                raise

        return await retry_conflicts(publish, "the event bus")

    async def _publish(self, publications: Sequence[Publication]) -> dict[str, int]:
        marks, topics = [each.mark for each in publications], topic_rows(publications)
        events = event_rows(publications, topics, self._encrypt)
        results = await self._database.run(PUBLISH, keys=marks, topics=topics, events=events)
        offsets = _offsets(next(result for result in reversed(results) if isinstance(result, list)))
        if len(offsets) != len(marks):  # the database does not report a write that permissions forbid
            raise StoreUnavailable("the database ignored events: check that its user may write")
        await self._trim(publications, offsets)
        return offsets

    async def _trim(self, publications: Sequence[Publication], offsets: dict[str, int]) -> None:
        """Deletes the oldest ephemeral events of topics that have too many."""
        for each in publications:
            last = offsets[each.mark]
            if each.ephemeral and last // TRIM_EVERY > (last - len(each.texts)) // TRIM_EVERY:
                await self._database.run(DISCARD, topic=each.topic, upto=last - KEPT_EPHEMERAL)

    async def _known(self, marks: dict[str, Publication]) -> dict[str, int]:
        [rows] = await self._database.run(KNOWN, keys=list(marks))
        return _offsets(rows)

    async def _drop(self, text: str, **values: Any) -> None:
        await retry_conflicts(lambda: self._database.run(text, **values), "the event bus")

    def _encrypt(self, text: str) -> str:
        return text if self._cipher is None else self._cipher.seal(text)

    def _decrypt(self, text: str) -> str:
        return text if self._cipher is None else self._cipher.unseal(text)


def _offsets(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {row["key"]: row["offset"] for row in rows}
