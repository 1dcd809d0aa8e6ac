"""Large payloads in a real database: stored once, read back whole, pruned by age, decrypted with the key alone."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from surrealdb import RecordID
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from holdfast.errors import PayloadUnreadable, StoreUnavailable
from holdfast.protocol import EntryPage, ModelCall
from holdfast.storage.database import Database, open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.mirror.conformance import CHECKS, Check, run_check
from holdfast.storage.mirror.sample import SampleRun
from holdfast.storage.mirror.surreal import SurrealStore
from holdfast.storage.payloads.chunk_store import ChunkStore
from holdfast.storage.payloads.chunk_table import Amount, ChunkTable
from holdfast.storage.payloads.data_converter import data_converter
from holdfast.temporal.routing import THRESHOLD
from holdfast.types import Entry, EntryBatch, Message, ToolResult
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import slow

MB = 1_000_000
LETTERS = 'abcdefghijklmnopqrstuvwxyz \n"é'.encode("latin-1")
LETTER_OF = bytes(LETTERS[byte % len(LETTERS)] for byte in range(256))
CONTENT = random.Random(1).randbytes(3 * MB).translate(LETTER_OF).decode("latin-1")
SECRET_KEYS = KeyRing.parse(new_key())


@dataclass
class Place:
    """A database, and how many bytes of payloads are in it."""

    database: Database
    url: str

    @property
    def store(self) -> ChunkTable:
        """The payloads."""
        return ChunkTable(self.database)

    def converter(self, keys: KeyRing | None = None) -> DataConverter:
        """A converter that remembers nothing of what others stored."""
        return data_converter(partial(ChunkStore, self.store, keys), keys)


@pytest.fixture(params=["surrealkv", "server", *slow("mem")])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty database of each kind."""
    if request.param == "server":
        with SurrealServer.find(tmp_path) as server:
            database = open_database(server.url, username=USERNAME, password=PASSWORD)
            yield Place(database, server.url)
            await database.close()
        return
    url = "mem://" if request.param == "mem" else f"surrealkv://{tmp_path / 'db'}"
    database = open_database(url)
    yield Place(database, url)
    await database.close()


def journeys(content: str) -> list[ToolResult | EntryBatch | ModelCall]:
    """What a tool's result travels in: from the tool, to the mirror, to the model."""
    run = SampleRun(turns=2)
    batch = run.batch()
    message = Message(seq=3, role="tool", content=content, tool_call_id="c1")
    last = batch.entries[-1]
    entry = Entry.chained(
        last.digest,
        seq=last.seq + 1,
        at=last.at,
        kind="tool_result",
        turn=1,
        data={"message": message.model_dump(mode="json"), "tool": "dump", "error": False, "files": [], "seconds": 0.1},
    )
    call = ModelCall(run_id=run.run_id, turn=2, base=last.ref, entries=[entry], deadline=datetime.now(UTC))
    return [
        ToolResult(content=content),
        batch.model_copy(update={"entries": [entry], "previous_digest": last.digest}),
        call,
    ]


@pytest.mark.parametrize("keys", [None, SECRET_KEYS], ids=["plain", "encrypted"])
async def test_a_result_is_stored_once_though_it_travels_three_times(place: Place, keys: KeyRing | None) -> None:
    """A result is stored once, though it occurs in three payloads, encrypted or not."""
    written = []
    for value in journeys(CONTENT):  # each in a process of its own
        payloads = await place.converter(keys).encode([value])
        assert payloads[0].ByteSize() < 1000, "the history has a reference"
        written.append((value, payloads))
    assert (await place.store.amount()).bytes < 1.3 * len(CONTENT.encode())
    for value, payloads in written:
        assert await place.converter(keys).decode(payloads, [type(value)]) == [value]


async def test_what_is_encrypted_is_nowhere_in_clear(place: Place) -> None:
    """Neither the reference nor the rows show anything of an encrypted payload."""
    secret = "xylophoneQuartzJackdaw " * 20_000
    [payload] = await place.converter(SECRET_KEYS).encode([ToolResult(content=secret)])
    [rows] = await place.database.run("SELECT id, data FROM payload")
    assert rows
    assert b"Quartz" not in payload.SerializeToString() + b"".join(row["data"] for row in rows)
    with pytest.raises(PayloadUnreadable, match="HOLDFAST_ENCRYPTION_KEY is not set"):
        await place.converter().decode([payload], [ToolResult])
    with pytest.raises(PayloadUnreadable, match=f"key '{SECRET_KEYS.first.name}', which HOLDFAST_ENCRYPTION_KEY does"):
        await place.converter(KeyRing.parse(new_key())).decode([payload], [ToolResult])


async def test_a_changed_key_leaves_what_is_there_readable(place: Place) -> None:
    """After a change of keys, payloads of active runs stay readable."""
    old = new_key()
    [before] = await place.converter(KeyRing.parse(old)).encode([CONTENT])
    both = place.converter(KeyRing.parse(f"{new_key()},{old}"))
    [after] = await both.encode([CONTENT])
    assert await both.decode([before, after], [str, str]) == [CONTENT, CONTENT]


@pytest.mark.parametrize("size", [THRESHOLD - 100, THRESHOLD + 100, 16 * MB])
async def test_every_size_comes_back(place: Place, size: int) -> None:
    """Payloads of every size are restored, on both sides of the threshold and at the limit."""
    text = (CONTENT * 6)[:size]
    payloads = await place.converter().encode([text])
    assert await place.converter().decode(payloads, [str]) == [text]


async def test_answers_to_queries_are_not_stored(place: Place) -> None:
    """Answers to queries travel inline, without the store."""
    page = EntryPage(entries=journeys(CONTENT[: 200 * 1024])[1].entries, more=False, first=0, previous=None)  # type: ignore[union-attr]
    for keys in (None, SECRET_KEYS):
        [payload] = await place.converter(keys).encode([page])
        assert payload.ByteSize() > THRESHOLD
        assert await place.converter(keys).decode([payload], [EntryPage]) == [page]
    assert await place.store.amount() == Amount(0, 0)


async def test_old_payloads_are_pruned_and_others_stay(place: Place) -> None:
    """Pruning removes payloads older than any history, and keeps the others."""
    store, now = place.store, datetime.now(UTC)
    await store.keep({"old": b"123", "used again": b"1234", "young": b"12345"})
    long_ago = now - timedelta(days=100)
    for name in ("old", "used again"):
        await place.database.run("UPDATE $row SET day = $day", row=RecordID("payload", name), day=long_ago)
    assert await store.lacking(["old", "used again", "young", "new"]) == ["old", "used again", "new"]
    await store.keep({"used again": b"1234"})
    before = now - timedelta(days=91) + timedelta(days=9)
    assert await store.prune(before, dry_run=True) == Amount(1, 3)
    assert (await store.amount()).count == 3
    assert await store.prune(before) == Amount(1, 3)
    assert sorted(await store.fetch(["old", "used again", "young"])) == ["used again", "young"]
    assert await store.prune(now) == Amount(0, 0), "what was stored today is younger than any history"


async def test_lost_and_damaged_chunks_are_named(place: Place) -> None:
    """A lost or damaged chunk is reported, and never passes for the original."""
    [payload] = await place.converter().encode([CONTENT])
    [ids] = await place.database.run("SELECT VALUE id FROM payload WHERE size > 8000 LIMIT 1")
    await place.database.run("UPDATE $row SET data = $data", row=ids[0], data=b"\0wrong")
    with pytest.raises(PayloadUnreadable, match=f"payload:{ids[0].id} is damaged"):
        await place.converter().decode([payload], [str])
    await place.database.run("DELETE $row", row=ids[0])
    with pytest.raises(PayloadUnreadable, match=r"1 of .* chunks of a payload of .* bytes are not in the database"):
        await place.converter().decode([payload], [str])


@pytest.mark.parametrize("keys", [None, SECRET_KEYS], ids=["plain", "encrypted"])
async def test_without_the_store_what_fits_travels_inside(tmp_path: Path, keys: KeyRing | None) -> None:
    """While the store is unavailable, payloads that fit travel inline; larger ones wait and say why."""
    away = open_database("ws://127.0.0.1:1")
    converter = data_converter(partial(ChunkStore, ChunkTable(away), keys), keys)
    text = CONTENT[: MB // 2]
    payloads = await converter.encode([text])
    assert (keys is None) or text[:100].encode() not in payloads[0].SerializeToString()
    assert await converter.decode(payloads, [str]) == [text]
    with pytest.raises(StoreUnavailable, match=r"a payload of .* bytes could not be stored"):
        await converter.encode([CONTENT])
    await away.close()


async def test_a_reference_of_another_version_is_refused(place: Place) -> None:
    """A reference of an unknown version is refused."""
    converter = place.converter()
    [payload] = await converter.encode([CONTENT])
    changed = Payload.FromString(payload.SerializeToString().replace(b"manifest", b"manyfest"))
    with pytest.raises(PayloadUnreadable, match="cannot read"):
        await converter.decode([changed], [str])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_sealed_store_conforms(check: Check) -> None:
    """An encrypted store passes the conformance suite of the port."""
    await run_check(check, lambda: SurrealStore(open_database("mem://"), SECRET_KEYS))


async def test_a_sealed_store_shows_names_and_numbers_alone() -> None:
    """An encrypted store leaves names and numbers readable for queries, and nothing else."""
    database, run = open_database("mem://"), SampleRun(turns=3)
    store = SurrealStore(database, SECRET_KEYS)
    await store.append(run.batch())
    [texts] = await database.run("RETURN array::concat((SELECT VALUE text FROM event), (SELECT VALUE text FROM run))")
    assert len(texts) == len(run.entries) + 1
    assert all(text.startswith("sealed:") for text in texts)
    [said] = await database.run("SELECT VALUE content FROM message")
    [asked] = await database.run("SELECT VALUE arguments FROM tool_call")
    [inputs] = await database.run("SELECT VALUE input FROM run")
    assert {*said, *asked, *inputs} == {""}
    [by_tool] = await database.run("SELECT tool, count() AS calls FROM tool_call GROUP BY tool")
    assert by_tool
    assert await SurrealStore(database, SECRET_KEYS).entries(run.run_id) == run.entries
    with pytest.raises(PayloadUnreadable):
        await SurrealStore(database, KeyRing.parse(new_key())).entries(run.run_id)
    await store.close()
