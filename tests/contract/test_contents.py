"""Stores of contents: what each guarantees, and what is deleted of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from surrealdb import RecordID

from holdfast.attachments import Attachment
from holdfast.errors import PayloadUnreadable
from holdfast.ops.transfer import BundleWriter, Importer, JsonlExport, MirrorSource, Selection, inspect
from holdfast.ops.transfer.parts import contents_of, parts_of
from holdfast.storage.contents import MemoryContents, SurrealContents
from holdfast.storage.contents.conformance import check_contents
from holdfast.storage.database import Database, open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.mirror import SurrealStore
from holdfast.storage.mirror.sample import SampleRun
from holdfast.storage.persistence import persistence_on
from holdfast.types import Entry, Message
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=30)
AGE = "UPDATE content SET day = $day RETURN NONE"


@pytest.fixture(params=["surrealkv", "server"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of each kind."""
    if request.param == "server":
        with SurrealServer.find(tmp_path) as server:
            opened = open_database(server.url, username=USERNAME, password=PASSWORD)
            yield opened
            await opened.close()
    else:
        opened = open_database(f"surrealkv://{tmp_path / 'db'}")
        yield opened
        await opened.close()


async def test_contents_in_a_database(database: Database) -> None:
    """A database keeps each content once, and whoever opens it finds it; with a key it is encrypted."""
    await check_contents(SurrealContents(database))
    keys = KeyRing.parse(new_key())
    sealed = SurrealContents(database, keys)
    await check_contents(sealed)
    digest = await sealed.put(b"a secret picture")
    [rows] = await database.run("SELECT * FROM content_part")
    assert not any(b"secret" in row["data"] for row in rows)
    assert await SurrealContents(database, keys).get(digest) == b"a secret picture"
    with pytest.raises(PayloadUnreadable, match="key"):
        await SurrealContents(database).get(digest)
    [before] = await database.run("SELECT count() AS total FROM content_part GROUP ALL")
    await SurrealContents(database, keys).put(b"a secret picture")
    [after] = await database.run("SELECT count() AS total FROM content_part GROUP ALL")
    assert before == after


async def test_contents_in_memory() -> None:
    """A dictionary guarantees the same."""
    await check_contents(MemoryContents())


async def test_an_interrupted_write_is_completed(database: Database) -> None:
    """A content whose writer died is not found, and stored again it is whole."""
    store, data = SurrealContents(database), bytes(1_000_000)
    digest = await store.put(data)
    await database.run("UPDATE content SET complete = false; ")
    await database.run("DELETE content_part WHERE id[1] = 1")
    with pytest.raises(PayloadUnreadable, match="not in the database"):
        await SurrealContents(database).get(digest)
    assert await SurrealContents(database).put(data) == digest
    assert await SurrealContents(database).get(digest) == data
    await database.run("UPDATE $part SET data = $data", part=RecordID("content_part", [digest, 0]), data=b"other")
    with pytest.raises(PayloadUnreadable, match="damaged"):
        await SurrealContents(database).get(digest)


async def test_prune_keeps_what_a_run_refers_to(database: Database) -> None:
    """Old contents are deleted with all their rows, unless a run of the mirror refers to them; new ones stay."""
    store, mirror = SurrealContents(database), SurrealStore(database)
    lost, kept, new = [await store.put(name) for name in (b"lost", b"kept", b"new")]
    batch = SampleRun(turns=0, run_id="holder").batch()
    message = Message(seq=2, role="user", attachments=[Attachment(digest=kept, name="x.png", media_type="image/png")])
    last, data = batch.entries[-1], {"message": message.model_dump(mode="json", exclude_unset=True)}
    entry = Entry.chained(last.digest, seq=last.seq + 1, at=last.at, kind="message", turn=0, data=data)
    whole = batch.model_copy(update={"entries": [*batch.entries, entry]})
    await mirror.append(whole)
    assert await mirror.differences(whole) == []
    await database.run(
        "UPDATE $rows SET day = $day", rows=[RecordID("content", lost), RecordID("content", kept)], day=NOW
    )
    await database.run("UPDATE $row SET day = $day", row=RecordID("content", new), day=LATER + timedelta(days=1))
    assert await store.prune(LATER, dry_run=True) == (1, 4)
    assert await SurrealContents(database).get(lost) == b"lost"
    assert await store.prune(LATER) == (1, 4)
    fresh = SurrealContents(database)
    assert [await fresh.get(digest) for digest in (kept, new)] == [b"kept", b"new"]
    with pytest.raises(PayloadUnreadable):
        await fresh.get(lost)
    await mirror.delete("holder")
    await database.run(AGE, day=NOW)
    assert await store.prune(LATER) == (2, 7)
    [parts] = await database.run("SELECT * FROM content_part")
    assert parts == []


async def test_an_exported_run_takes_its_contents_along(database: Database, tmp_path: Path) -> None:
    """The file of one run has the contents of its attachments alone; an import restores them, encrypted or not."""
    keys = KeyRing.parse(new_key())
    origin = persistence_on(database, keys)
    own, other = await origin.contents.put(bytes(700_000)), await origin.contents.put(b"of another run")
    batch = SampleRun(turns=0, run_id="holder").batch()
    message = Message(seq=2, role="user", attachments=[Attachment(digest=own, name="x.png", media_type="image/png")])
    last, data = batch.entries[-1], {"message": message.model_dump(mode="json", exclude_unset=True)}
    entry = Entry.chained(last.digest, seq=last.seq + 1, at=last.at, kind="message", turn=0, data=data)
    await origin.store.append(batch.model_copy(update={"entries": [*batch.entries, entry]}))
    lines: list[bytes] = []
    writer = BundleWriter(lines.append)
    job = JsonlExport(writer)
    writer.begin()
    await job.write_runs(MirrorSource(origin.store), one("holder"), Selection())
    await job.items(contents_of(database).of(job.attached))
    writer.end()
    target = persistence_on(open_database(f"surrealkv://{tmp_path / 'target'}"), keys)
    parts = parts_of(target)
    importer = Importer(target.store, parts)
    await importer.load(lines, inspect(lines, parts))
    assert importer.tallies["contents"].written == 1
    assert await target.contents.get(own) == bytes(700_000)
    assert await target.contents.prune(LATER) == (0, 0)
    with pytest.raises(PayloadUnreadable):
        await target.contents.get(other)
    again = Importer(target.store, parts)
    await again.load(lines, inspect(lines, parts))
    assert (again.tallies["contents"].written, again.tallies["contents"].same) == (0, 1)
    await target.close()


async def one(run_id: str) -> AsyncIterator[str]:
    """Yields one id."""
    yield run_id
