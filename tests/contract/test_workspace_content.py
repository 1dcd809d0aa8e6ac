"""Folders kept by content: what is recorded is what is restored, within limits that are named, whatever happens."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from surrealdb import RecordID

from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.errors import PayloadUnreadable, UsageError
from holdfast.storage.database import Database, open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.files import SurrealFiles
from holdfast.trees import Tree
from holdfast.workspace_states import WorkspacePoint
from holdfast.workspaces.contents import tree_of, write_tree
from holdfast.workspaces.keeper import WorkspaceKeeper, WorkspaceNotReady
from holdfast.workspaces.limits import KeptLimits
from tests.support.small_disk import small_disk
from tests.support.stored_files import trees_of
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

NAME, RUN = "run-1", "run-1"
SECRET_KEYS = KeyRing.parse(new_key())


@dataclass
class Machine:
    """A place with workspaces of its own, and the store that all share."""

    home: Path
    keeper: WorkspaceKeeper

    @classmethod
    def at(cls, home: Path, content: SurrealFiles, limits: KeptLimits | None = None) -> Machine:
        """A machine whose state folder this is."""
        return cls(home, WorkspaceKeeper(WorkspaceRoots((), home), content, limits))

    @property
    def folder(self) -> Path:
        """The workspace."""
        return self.home / "workspaces" / NAME

    async def call(self, point: WorkspacePoint, *, changed: bool = True) -> WorkspacePoint:
        """What the run knows after a call that did something to the folder, or nothing."""
        held = await self.keeper.hold(RUN, NAME, point, changes=changed, seconds=60)
        try:
            snapshot = await held.record(changed=changed, seconds=60)
        finally:
            held.release()
        return point.with_snapshots([snapshot] if snapshot else [])

    def shown(self) -> dict[str, object]:
        """Everything in the folder: content, or what a link contains, and permissions."""
        return shown(self.folder)


def top(machine: Machine) -> list[str]:
    """The names in the workspace."""
    return sorted(path.name for path in machine.folder.iterdir())


def shown(folder: Path) -> dict[str, object]:
    """Everything in a folder: content, or what a link contains, and permissions."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode & 0o777
        what = str(path.readlink()) if path.is_symlink() else (mode, path.read_bytes() if path.is_file() else None)
        found[os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")] = what
    return found


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database on disk."""
    database = open_database(f"surrealkv://{tmp_path / 'db'}")
    yield database
    await database.close()


@pytest.fixture
def content(database: Database) -> SurrealFiles:
    """The store of files."""
    return SurrealFiles(database)


@pytest.fixture
def here(tmp_path: Path, content: SurrealFiles) -> Machine:
    """The machine of the first worker."""
    return Machine.at(tmp_path / "here", content)


@pytest.fixture
def there(tmp_path: Path, content: SurrealFiles) -> Machine:
    """Another machine."""
    return Machine.at(tmp_path / "there", content)


def fill(folder: Path) -> None:
    """Writes one of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "empty").mkdir()
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "text.txt").write_text("text")
    (folder / "nothing").touch()
    (folder / "large.bin").write_bytes(random.Random(1).randbytes(700_000))
    (folder / "run.sh").write_text("echo")
    (folder / "run.sh").chmod(0o755)
    (folder / "private").write_text("p")
    (folder / "private").chmod(0o600)
    (folder / "link").symlink_to("a/b/text.txt")
    (folder / "nowhere").symlink_to("/does/not/exist")
    (Path(os.fsdecode(bytes(folder) + b"/odd-\xff\xfe.txt"))).write_text("What an odd name")
    (folder / "größe.txt").write_text("x")


@pytest.mark.parametrize("keys", [None, SECRET_KEYS], ids=["plain", "encrypted"])
async def test_every_kind_of_file_is_restored(database: Database, tmp_path: Path, keys: KeyRing | None) -> None:
    """Files, empty folders, links, permissions and names in any bytes are restored as they were; a file once stored."""
    here = Machine.at(tmp_path / "here", SurrealFiles(database, keys))
    there = Machine.at(tmp_path / "there", SurrealFiles(database, keys))
    fill(here.folder)
    point = await here.call(WorkspacePoint())
    point = await there.call(point, changed=False)
    assert there.shown() == here.shown()
    before = await SurrealFiles(database).amount()
    (here.folder / "copy.bin").write_bytes((here.folder / "large.bin").read_bytes())
    point = await here.call(point)
    assert (await SurrealFiles(database).amount()).bytes - before.bytes < 100_000
    [rows] = await database.run("SELECT VALUE data FROM file_chunk")
    assert any(b"What an odd name" in row for row in rows) == (keys is None)


async def test_what_changes_kind_is_restored(here: Machine, there: Machine) -> None:
    """A file that became a folder, a folder that became a link or a file, and what was deleted are restored as such."""
    fill(here.folder)
    point = await here.call(WorkspacePoint())
    await there.call(point, changed=False)
    folder = here.folder
    (folder / "nothing").unlink()
    (folder / "nothing").mkdir()
    (folder / "nothing" / "in").write_text("in")
    (folder / "a" / "b" / "text.txt").unlink()
    (folder / "a" / "b").rmdir()
    (folder / "a" / "b").symlink_to("/etc")
    (folder / "empty").rmdir()
    (folder / "empty").write_text("file")
    (folder / "run.sh").chmod(0o644)
    (folder / "link").unlink()
    point = await here.call(point)
    await there.call(point, changed=False)
    assert there.shown() == here.shown()


async def test_links_are_not_followed(here: Machine, there: Machine, tmp_path: Path) -> None:
    """Nothing outside of a folder is read through a link, and nothing there is written by a restoration."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "other.txt").write_text("untouched")
    here.folder.mkdir(parents=True)
    (here.folder / "a").mkdir()
    (here.folder / "a" / "other.txt").write_text("of the run")
    point = await here.call(WorkspacePoint())
    await there.call(point, changed=False)
    (there.folder / "a" / "other.txt").unlink()
    (there.folder / "a").rmdir()
    (there.folder / "a").symlink_to(outside)
    (here.folder / "b.txt").write_text("b")
    point = await here.call(point)
    await there.call(point, changed=False)
    assert (outside / "other.txt").read_text() == "untouched"
    assert there.shown() == here.shown()
    (here.folder / "out").symlink_to(outside)
    tree = await tree_of(there_content(there), (await here.call(point)).heads)
    assert tree.nodes["out"].target == str(outside)
    assert "out/other.txt" not in tree.nodes


def there_content(machine: Machine) -> SurrealFiles:
    """The store of a machine."""
    content = machine.keeper._content
    assert isinstance(content, SurrealFiles)
    return content


async def test_what_exceeds_a_limit_is_left_out_and_named(tmp_path: Path, content: SurrealFiles) -> None:
    """Large files, too many files, pipes and secrets are left out and named; a restoration leaves them alone."""
    limits = KeptLimits(files=5, file_bytes=1_000, bytes=1_500, ignored=("node_modules", "*.TMP"))
    here = Machine.at(tmp_path / "here", content, limits)
    folder = here.folder
    (folder / "node_modules").mkdir(parents=True)
    (folder / "node_modules" / "x.js").write_text("x")
    (folder / "a.tmp").write_text("x")
    (folder / "b.big").write_bytes(bytes(1_001))
    (folder / "c.txt").write_bytes(bytes(900))
    (folder / "d.txt").write_bytes(bytes(900))
    (folder / ".env").write_text("TOKEN=1")
    os.mkfifo(folder / "e.pipe")
    for number in range(6):
        (folder / f"f{number}").write_text(str(number))
    point = await here.call(WorkspacePoint())
    [head] = point.heads
    said = "\n".join(head.left_out)
    assert "b.big: 1,001 bytes, more than 1,000 of one file" in said
    assert "d.txt: 900 bytes, with which all files would have more than 1,500" in said
    assert ".env: files of such names usually hold secrets" in said
    assert "e.pipe: it is neither a file nor a folder" in said
    assert "f4: the folder has more than 5 files and folders" in said
    assert "node_modules" not in said
    assert (head.files, head.bytes) == (5, 904)
    there = Machine.at(tmp_path / "there", content, limits)
    (there.folder / "node_modules").mkdir(parents=True)
    (there.folder / "d.txt").write_text("of this machine")
    (there.folder / "surplus").write_text("removed")
    await there.call(point, changed=False)
    assert top(there) == ["c.txt", "d.txt", "f0", "f1", "f2", "f3", "node_modules"]


async def test_only_what_changed_is_read(here: Machine, content: SurrealFiles) -> None:
    """A file that did not change is not read again; one that changed in the same moment, with the same size, is."""
    fill(here.folder)
    point = await here.call(WorkspacePoint())
    await asyncio.sleep(0.15)  # so that the files are older than what may change unseen
    os.utime(here.folder / "run.sh")
    point = await here.call(point)
    read: list[str] = []
    original = content.split
    content.split = lambda data: read.append(str(data[:9])) or original(data)  # type: ignore[func-returns-value,method-assign]
    assert (await here.call(point)).heads == point.heads
    assert len(read) <= 1, "at most the one that was touched"
    for text in ("one", "two"):
        (here.folder / "nothing").write_text(text)
        point = await here.call(point)
        tree = await tree_of(content, point.heads)
        assert b"".join((await content.read(tree.nodes["nothing"].chunks)).values()) == text.encode()


async def test_a_file_that_is_being_written_is_kept(here: Machine) -> None:
    """A file that grows while it is read is kept as it was read at last, and read again the next time."""
    here.folder.mkdir(parents=True)
    stopped = threading.Event()

    def append() -> None:
        with (here.folder / "log").open("ab", buffering=0) as file:
            while not stopped.is_set():
                file.write(b"x" * 100)

    writer = threading.Thread(target=append)
    writer.start()
    try:
        point = await here.call(WorkspacePoint())
    finally:
        stopped.set()
        writer.join()
    point = await here.call(point)
    assert point.heads[0].bytes == (here.folder / "log").stat().st_size


async def test_a_folder_that_was_removed_is_restored(here: Machine) -> None:
    """A folder that someone has deleted is there again for the next call."""
    fill(here.folder)
    point = await here.call(WorkspacePoint())
    before = here.shown()
    for path in sorted(here.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    here.folder.rmdir()
    await here.call(point, changed=False)
    assert here.shown() == before


async def test_calls_at_the_same_time_keep_what_they_write(here: Machine, there: Machine) -> None:
    """What a call has just written stays when another call of the same folder needs files from elsewhere."""
    here.folder.mkdir(parents=True)
    (here.folder / "a").write_text("a")
    first = await here.call(WorkspacePoint())
    (here.folder / "gone").write_text("x")
    first = await here.call(first)
    second = await there.call(first, changed=False)
    (there.folder / "b").write_text("b")
    (there.folder / "gone").unlink()
    second = await there.call(second)
    slow = await here.keeper.hold(RUN, NAME, first, changes=True, seconds=60)
    (here.folder / "c").write_text("being written")
    await here.call(second, changed=False)
    assert top(here) == ["a", "b", "c"]
    snapshot = await slow.record(changed=True, seconds=60)
    slow.release()
    assert snapshot is not None
    assert set((await tree_of(there_content(there), second.with_snapshots([snapshot]).heads)).nodes) == {"a", "b", "c"}


async def test_damage_is_told(here: Machine, there: Machine, database: Database, tmp_path: Path) -> None:
    """A file whose content is missing or altered in the store is named, and not restored as something else."""
    fill(here.folder)
    point = await here.call(WorkspacePoint())
    tree = point.heads[0].tree or ""
    fresh = SurrealFiles(database)
    nodes = Tree.decode(await fresh.get_tree(tree)).nodes
    [chunk] = nodes["run.sh"].chunks
    await database.run("UPDATE $row SET data = $data", row=RecordID("file_chunk", chunk), data=b"\0other")
    with pytest.raises(PayloadUnreadable, match=f"file_chunk:{chunk} is damaged"):
        await write_tree(SurrealFiles(database), Tree.decode(await fresh.get_tree(tree)), tmp_path / "new")
    await database.run("DELETE $row", row=RecordID("file_chunk", chunk))
    lost = Machine.at(tmp_path / "lost", SurrealFiles(database))
    with pytest.raises(PayloadUnreadable, match="not in the database"):
        await lost.call(point, changed=False)
    assert await SurrealFiles(database).missing(tree) == ["run.sh"]
    (here.folder / "run.sh").write_text("echo again")
    await there.call(await Machine.at(here.home, SurrealFiles(database)).call(point), changed=False)
    assert there.shown() == here.shown(), "what is recorded next is whole"


async def test_a_full_disk_is_told_and_passes(tmp_path: Path, content: SurrealFiles, here: Machine) -> None:
    """A folder that cannot be restored as the disk is full is restored when there is room; the call waits."""
    here.folder.mkdir(parents=True)
    (here.folder / "big").write_bytes(random.Random(2).randbytes(3_000_000))
    point = await here.call(WorkspacePoint())
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        there = Machine.at(disk.folder / "home", content)
        disk.fill(spare=100)
        with pytest.raises(WorkspaceNotReady, match="No space left"):
            await there.call(point, changed=False)
        disk.free()
        await there.call(point, changed=False)
        assert there.shown() == here.shown()
        (there.folder / "new").write_text("new")
        disk.fill()
        held = await there.keeper.hold(RUN, NAME, point, changes=False, seconds=60)
        snapshot = await held.record(changed=True, seconds=60)
        assert snapshot is not None
        assert "No space left" in (snapshot.fault or "")
        disk.free()
        assert "new" in (await tree_of(content, (await there.call(point)).heads)).nodes


async def test_a_store_that_is_away_is_told_and_passes(tmp_path: Path) -> None:
    """Without the store, a call that lacks files waits; one that has them says that its changes are not recorded."""
    with SurrealServer.find(tmp_path) as server:
        database = open_database(server.url, username=USERNAME, password=PASSWORD)
        content = SurrealFiles(database)
        here, there = Machine.at(tmp_path / "here", content), Machine.at(tmp_path / "there", SurrealFiles(database))
        here.folder.mkdir(parents=True)
        (here.folder / "a").write_text("a")
        point = await here.call(WorkspacePoint())
        server.stop()
        (here.folder / "b").write_text("b")
        held = await here.keeper.hold(RUN, NAME, point, changes=True, seconds=60)
        snapshot = await held.record(changed=True, seconds=60)
        held.release()
        assert snapshot is not None
        assert (snapshot.tree, bool(snapshot.fault)) == (None, True)
        with pytest.raises(WorkspaceNotReady):
            await there.call(point, changed=False)
        server.start()
        point = await here.call(point.with_snapshots([snapshot]))
        await there.call(point, changed=False)
        assert there.shown() == here.shown()
        await database.close()


async def test_only_what_no_run_needs_is_pruned(here: Machine, content: SurrealFiles, database: Database) -> None:
    """Files are deleted when no run needs them, not before, and not soon after they were stored."""
    fill(here.folder)
    point = await here.call(WorkspacePoint())
    tree = point.heads[0].tree or ""
    await content.claim("fork-1", [tree])
    await content.release(RUN)
    await database.run("UPDATE file_chunk SET day = $day", day=datetime.now(UTC) - timedelta(days=30))
    assert (await content.sweep()).count == 0, "the fork needs them"
    await content.release("fork-1")
    assert (await content.sweep(dry_run=True)).count == (await content.amount()).count > 0
    (here.folder / "new").write_text("new")
    await Machine.at(here.home, SurrealFiles(database)).call(point)
    kept = await content.amount()
    await content.sweep()
    assert (await content.amount()).count <= kept.count
    assert await SurrealFiles(database).missing((await trees_of(database, RUN))[-1]) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "x" * 300])
async def test_only_names_of_workspaces_are_accepted(here: Machine, name: str) -> None:
    """A call that names another folder than a workspace is refused."""
    with pytest.raises(UsageError, match="is not the name of a workspace"):
        await here.keeper.hold(RUN, name, WorkspacePoint(), changes=True, seconds=1)
