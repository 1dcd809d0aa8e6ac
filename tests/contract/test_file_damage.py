"""Damaged files and a full disk: the embedded database keeps what it acknowledged, or says what it lost."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest

from holdfast.cli.found_damage import found_damages
from holdfast.errors import MirrorGap, StoreUnavailable
from holdfast.ports import Store
from holdfast.settings import Settings
from holdfast.storage.database import open_database
from holdfast.storage.database.damage import Damage, damages
from holdfast.storage.mirror import SurrealStore, open_store
from holdfast.storage.mirror.sample import SampleRun
from tests.support.lab import eventually
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.tiers import scaled

DISK = 48  # megabytes
SEEDS = scaled(2, 30)
STEPS = 120
LOG = "clog/00000000000000000000.clog"


async def _written(path: Path, runs: int) -> list[SampleRun]:
    """Writes runs, one after the other."""
    store = open_store(f"surrealkv://{path}")
    found = [SampleRun(turns=3, run_id=f"run-{number}") for number in range(runs)]
    for run in found:
        await store.append(run.batch())
    await store.close()
    return found


async def _ids(path: Path) -> list[str]:
    store = open_store(f"surrealkv://{path}")
    try:
        return await store.run_ids()
    finally:
        await store.close()


def _content(damage: Damage) -> bytes:
    return Path(damage.kept).read_bytes()


async def test_a_damaged_file_is_kept_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One altered byte: the damaged file is kept as it was, and the log says what is lost and what brings it back."""
    path = tmp_path / "data"
    await _written(path, runs=8)
    log = path / LOG
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    left = await _ids(path)
    assert 0 < len(left) < 8
    [damage] = damages(path)
    assert _content(damage) == content
    assert 8 - len(left) <= damage.runs <= 9 - len(left)
    assert damage.rows["event"] >= 11 * (8 - len(left))
    assert "`doctor rebuild --all`" in str(damage)
    assert "the database file was damaged" in caplog.text
    [shown] = found_damages(Settings(surrealdb_url=f"surrealkv://{path}"))
    assert shown.startswith(str(damage)), "`up` and `status` show it"
    assert await _ids(path) == left
    assert len(damages(path)) == 1, "it is found once"


async def test_an_interrupted_write_is_no_damage(tmp_path: Path) -> None:
    """A record that a crash cut off was never acknowledged; nothing is kept or reported."""
    path = tmp_path / "data"
    await _written(path, runs=2)
    with (path / LOG).open("r+b") as log:
        log.truncate(log.seek(0, 2) - 20)
    assert await _ids(path) == ["run-0", "run-1"]
    assert damages(path) == []
    assert not (path / "opening").exists()


@pytest.mark.parametrize("reopened", [False, True])
async def test_an_append_after_a_missing_entry_asks_for_it(tmp_path: Path, *, reopened: bool) -> None:
    """The run's row does not prove that the entry before a batch was written."""
    run, database = SampleRun(turns=4), open_database(f"surrealkv://{tmp_path}/data")
    store = SurrealStore(database)
    await store.append(run.batch(0, 6))
    await database.run("DELETE event:[$id, 5]", id=run.run_id)
    if reopened:
        store = SurrealStore(database)
    with pytest.raises(MirrorGap) as gap:
        await store.append(run.batch(6))
    assert gap.value.expected == 0
    await store.append(run.batch())
    assert await store.entries(run.run_id) == run.entries
    await database.close()


class Writer:
    """Writes runs to a database on a disk that fills up and is freed, and remembers what was acknowledged."""

    def __init__(self, disk: SmallDisk, seed: int) -> None:
        self._disk, self._random = disk, random.Random(seed)
        self._url = f"surrealkv://{disk.folder}/data"
        self._store = open_store(self._url)
        self._is_full = False
        sizes = [10, 300, 3000, 9000]
        self._runs = [
            SampleRun(turns=STEPS, run_id=f"run-{number}", text="x" * self._random.choice(sizes)) for number in range(4)
        ]
        self._acked = [-1] * len(self._runs)

    async def write(self) -> None:
        """Appends as workers do, in between the disk's and the database's ups and downs."""
        for _ in range(STEPS):
            if self._random.random() < 0.15:
                self._toggle()
            elif self._is_full and self._random.random() < 0.5:
                self._disk.fill(spare=self._random.choice([0, 1, 2, 5, 20, 80, 200]))
            if self._random.random() < 0.1:
                await self._store.close()
            await self._append(self._random.randrange(len(self._runs)))
        if self._is_full:
            self._disk.free()
        await self._store.close()

    async def check(self) -> None:
        """Compares every run with what was acknowledged, twice, as an opening may change the files."""
        for _ in range(2):
            store = open_store(self._url)
            await eventually(partial(_opens, store))
            for run, acked in zip(self._runs, self._acked, strict=True):
                entries = await store.entries(run.run_id)
                assert [entry.seq for entry in entries][: acked + 1] == list(range(acked + 1)), run.run_id
            await store.close()

    def _toggle(self) -> None:
        if self._is_full:
            self._disk.free()
        else:
            self._disk.fill()
        self._is_full = not self._is_full

    async def _append(self, number: int) -> None:
        first = self._acked[number] + 1
        batch = self._runs[number].batch(first, first + self._random.choice([1, 2, 3, 6]))
        try:
            await self._store.append(batch)
            self._acked[number] = batch.entries[-1].seq
        except MirrorGap as gap:
            self._acked[number] = gap.expected - 1
        except StoreUnavailable:
            pass


async def _opens(store: Store) -> bool:
    """Whether the database opens: there is room once the engine has closed what earlier openings have left open."""
    try:
        await store.open()
    except StoreUnavailable:
        return False
    return True


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_was_acknowledged_survives_a_full_disk(tmp_path: Path, seed: int) -> None:
    """However often the disk fills up, an acknowledged append is there after the next opening."""
    with small_disk(tmp_path / "disk", DISK) as disk:
        writer = Writer(disk, seed)
        await writer.write()
        await writer.check()
