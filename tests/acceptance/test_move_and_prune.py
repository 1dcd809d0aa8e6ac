"""The commands `export`, `import` and `prune`, also when they are killed."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.cli.commands.export import EXAMPLES as EXPORT_EXAMPLES
from holdfast.cli.commands.import_ import EXAMPLES as IMPORT_EXAMPLES
from holdfast.cli.commands.prune import EXAMPLES as PRUNE_EXAMPLES
from holdfast.storage.database import open_database
from holdfast.storage.mirror.sample import SampleRun
from holdfast.storage.persistence import open_persistence
from holdfast.types import RunStatus
from tests.support.cli import CommandLine, Done
from tests.support.lab import eventually
from tests.support.transfer_samples import contents

LONG_AGO = datetime.now(UTC) - timedelta(days=40)


@dataclass(frozen=True)
class Home:
    """A state folder, and the command line that uses it."""

    folder: Path

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"surrealkv://{self.folder}/surrealdb"

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Starts a command."""
        return self._line.start(*words)

    async def __call__(self, *words: str, stdin: bytes = b"") -> Done:
        """Runs a command to its end."""
        return await self._line.run(*words, stdin=stdin)

    @property
    def _line(self) -> CommandLine:
        return CommandLine({"HOLDFAST_HOME": str(self.folder)}, self.folder.parent)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with runs of forty days ago, one of which failed; to be copied."""
    home = Home(tmp_path_factory.mktemp("filled") / "home")

    async def fill() -> None:
        persistence = open_persistence(home.url)
        for number in range(150):
            status = RunStatus.FAILED if number == 3 else RunStatus.COMPLETED
            run = SampleRun(turns=10, run_id=f"run-{number:03}", started_at=LONG_AGO, status=status)
            await persistence.store.append(run.batch())
        await persistence.memories.add("shared", "Meyer pays late.")
        await persistence.close()

    asyncio.run(fill())
    return home.folder


@pytest.fixture
def old(filled: Path, tmp_path: Path) -> Home:
    """A copy of the folder with the old runs."""
    return Home(shutil.copytree(filled, tmp_path / "old"))


async def rows_of(home: Home) -> dict[str, list[dict[str, object]]]:
    """Everything that a home keeps."""
    database = open_database(home.url)
    found = await contents(database)
    await database.close()
    return found


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def unfinished(folder: Path) -> list[Path]:
    """What is left of files that were not completed."""
    return list(folder.glob(".*.part"))


async def test_an_import_that_is_killed_is_completed_by_the_next(old: Home, tmp_path: Path) -> None:
    """An import that was killed says so, and the next one completes it."""
    file, new = tmp_path / "backup.jsonl", Home(tmp_path / "new")
    done = await old("export", "--all", "-o", str(file))
    assert done.code == 0, done.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    process = new.start("import", str(file))
    assert process.stderr is not None
    assert b"the file is complete" in await asyncio.to_thread(process.stderr.readline)

    async def writes() -> bool:
        return size(new.folder / "surrealdb") > 1_000_000

    await eventually(writes)
    with process:
        process.kill()
    left = await rows_of(new)
    assert 0 < len(left["run"]) < 150

    again = await new("import", str(file), "--json")
    assert again.code == 0, again.err
    runs = again.json["parts"]["runs"]
    assert runs["written"] + runs["same"] == 150
    assert runs["kept"] == []
    assert await rows_of(new) == await rows_of(old)


async def test_files_go_through_pipes_and_damaged_ones_are_refused(old: Home, tmp_path: Path) -> None:
    """Exports and imports work through pipes; a truncated file is refused."""
    new = Home(tmp_path / "new")
    whole = await old("export", "--all")
    assert whole.code == 0, whole.err
    cut = await new("import", "-", stdin=whole.stdout[:-500])
    assert cut.code == 1
    assert "truncated" in cut.err
    assert "line " in cut.err
    assert (await new("import", "-", "--dry-run", stdin=whole.stdout)).code == 0
    assert (await rows_of(new))["run"] == []
    assert (await new("import", "-", "--only", "robots", stdin=whole.stdout)).code == 2
    assert (await new("import", "-", "--only", "runs", stdin=whole.stdout)).code == 0
    found = await rows_of(new)
    assert (len(found["run"]), len(found["memory"])) == (150, 0)


async def test_an_export_that_fails_leaves_the_file_that_was_there(old: Home, tmp_path: Path) -> None:
    """A failed export leaves the existing file unchanged."""
    file = tmp_path / "backup.jsonl"
    file.write_text("yesterday's")
    empty = Home(tmp_path / "empty")
    assert (await empty("export", "--all", "-o", str(file))).code == 3
    assert (await old("export", "-o", str(file))).code == 2
    database = open_database(old.url)
    await database.run("UPDATE run SET text = 'damaged'")
    await database.close()
    done = await old("export", "run-001", "-o", str(file))
    assert done.code == 1
    assert "doctor rebuild" in done.err
    assert file.read_text() == "yesterday's"
    assert unfinished(tmp_path) == []
    all_of_them = await old("export", "--all", "-o", str(file))
    assert all_of_them.code == 4
    assert (await old("import", str(file), "--dry-run")).code == 0


async def test_formats_and_filters(old: Home) -> None:
    """Each format holds exactly the runs that the filters select."""
    lines = (await old("export", "--all", "--format", "openai", "--agent", "nobody")).out.splitlines()
    assert lines == []
    shown = await old("export", "--all", "--format", "markdown", "--status", "failed")
    assert shown.code == 0, shown.err
    assert shown.out.startswith("# run-003\n")
    assert shown.out.count("\n# run") == 0
    some = await old("export", "--all", "--since", "1d")
    assert json.loads(some.out.splitlines()[-1])["counts"] == {}


async def test_prune_asks_shows_and_drops(old: Home) -> None:
    """`prune` shows what it will delete, asks, and deletes exactly that."""
    look = await old("prune", "--older-than", "30d", "--dry-run", "--json")
    assert look.code == 0, look.err
    assert "Temporal does not answer" in look.err
    plan = look.json
    assert (plan["found"], plan["dropped"], plan["entries"]) == (150, 0, 150 * 32)
    assert plan["log_bytes"] > 100_000
    unasked = await old("prune", "--older-than", "30d")
    assert unasked.code == 2
    assert "use --yes" in unasked.err
    assert (await old("prune", "--older-than", "50d", "--yes", "--json")).json["found"] == 0
    done = await old("prune", "--older-than", "30d", "--keep-failed", "--yes", "--json")
    assert done.json["dropped"] == 149
    found = await rows_of(old)
    assert [row["id"] for row in found["run"]] == ['run:"run-003"']
    assert len(found["event"]) == 32
    assert len(found["memory"]) == 1
    assert (await old("prune", "--older-than", "soon")).code == 2


async def test_prune_that_is_killed_is_completed_by_the_next(old: Home) -> None:
    """A prune that was killed is completed by the next one; pruned runs do not return."""
    before = size(old.folder / "surrealdb" / "clog")
    process = old.start("prune", "--older-than", "30d", "--yes")

    async def has_begun() -> bool:
        return size(old.folder / "surrealdb" / "clog") > before + 20_000  # looking adds nothing to the files

    await eventually(has_begun)
    with process:
        process.kill()
    assert 0 < len((await rows_of(old))["run"]) < 150
    assert (await old("prune", "--older-than", "30d", "--yes")).code == 0
    found = await rows_of(old)
    assert {name for name, rows in found.items() if rows} == {"memory", "memory_space"}


@pytest.mark.parametrize("examples", [EXPORT_EXAMPLES, IMPORT_EXAMPLES, PRUNE_EXAMPLES])
def test_examples_fit_a_terminal(examples: str) -> None:
    """The examples in the help fit 80 columns."""
    lines = [line.strip().replace("$ ", "  python3 starter.py ", 1) for line in examples.splitlines()]
    assert max(map(len, lines)) <= 80
