"""Reads of an embedded database in a process of their own, on a copy of its files.

No statement that a person types can then take the engine along that the mirror is written with: the engine has no limit
for the memory of a statement, and runs one at a time. The files are a log that is only appended to, so a copy holds
everything that was acknowledged before; copying and opening 70 MB takes 0.2 s, and starting the process 0.5 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast.errors import StoreUnavailable, UsageError
from holdfast.storage.database.gateway.wire import OK, decode, encode, error_from
from holdfast.storage.database.read_only import Reader

READ_DEADLINE = 30.0  # seconds for the statement; nothing waits for it
START_DEADLINE = 120.0  # seconds in addition to start the process and to open the copy, some 3 s for each gigabyte
READ_MEMORY = 512 * 2**20  # bytes that the statement and its answer may need
READS_AT_ONCE = 2  # processes; each also needs some 150 MB for Python and the engine
FICLONE = 0x40049409  # Linux: copies a file by reference, on file systems that can
COPY, OWN = "reading-", ("reading-", "damaged-", "opening")
"""Folders beside the engine's own: copies that are being read, and what `damage` keeps."""
DATABASE = "data"  # within the folder of a copy, which also gets its lock
ABANDONED = 3600.0  # seconds after which the copy of a process that was killed is removed
COPY_ATTEMPTS = 3  # another process may open the database meanwhile, and then files are replaced

log = get_logger(__name__)


class SnapshotReader(Reader):
    """Reads from copies of the files of an embedded database, which may be open in any process or in none.

    Args:
        path: the database's folder.
        namespace: SurrealDB's namespace.
        database: SurrealDB's database.
    """

    def __init__(self, path: Path, namespace: str, database: str) -> None:
        self._path, self._namespace, self._database = path, namespace, database
        self._slots = asyncio.Semaphore(READS_AT_ONCE)

    @override
    async def read(self, statement: str, values: dict[str, Any]) -> list[Any]:
        async with self._slots:
            copy = await asyncio.to_thread(self._copied)
            try:
                where = [str(copy / DATABASE), self._namespace, self._database]
                request = encode([*where, statement, values, READ_DEADLINE, READ_MEMORY])
                kind, *answer = decode(await _ask(request))
            finally:
                await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)
        if kind != OK:
            raise error_from(*answer)
        results, damages = answer
        for damage in damages:
            log.error("the answer may lack rows, as the database file is damaged", reason=damage)
        return list(results)

    async def close(self) -> None:
        """Does nothing: a process ends with its statement."""

    def _copied(self) -> Path:
        """Returns a new folder with a copy of the files; of an empty database if there are none yet."""
        exists = self._path.is_dir()
        try:
            for old in self._path.glob(f"{COPY}*"):
                if time.time() - old.stat().st_mtime > ABANDONED:
                    shutil.rmtree(old, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=COPY, dir=self._path if exists else None))
        except OSError as error:
            raise StoreUnavailable(f"{self._path} cannot be copied to be read: {error.strerror}") from error
        try:
            for attempt in range(COPY_ATTEMPTS if exists else 0):
                try:
                    _copy_files(self._path, folder / DATABASE)
                    break
                except FileNotFoundError:
                    if attempt == COPY_ATTEMPTS - 1:
                        raise
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StoreUnavailable(f"{self._path} cannot be copied to be read: {error.strerror}") from error
        return folder


async def _ask(request: bytes) -> bytes:
    """Runs the process of a read and returns its answer.

    Raises:
        UsageError: the statement needs too much memory or time.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast.storage.database.read_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "PYTHONSAFEPATH": "1"},
    )
    try:
        async with asyncio.timeout(START_DEADLINE + READ_DEADLINE):
            answer, _ = await process.communicate(request)
    except TimeoutError:
        raise UsageError(f"the statement was stopped after {READ_DEADLINE:g} s: narrow it, or add LIMIT") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode in (-signal.SIGABRT, -signal.SIGKILL):
        raise UsageError(
            f"the statement was stopped, as it needs more than {READ_MEMORY // 2**20} MB of memory: "
            "narrow it, or add LIMIT"
        )
    if process.returncode:
        raise StoreUnavailable(f"the process that reads the database ended with code {process.returncode}: try again")
    return answer


def _copy_files(source: Path, target: Path) -> None:
    for each in sorted(source.iterdir()):
        if each.is_dir() and not each.name.startswith(OWN):
            folder = target / each.name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for file in sorted(each.iterdir()):
                _copy(file, folder / file.name)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("wb") as writing, contextlib.suppress(OSError):
        fcntl.ioctl(writing, FICLONE, reading.fileno())
        return
    shutil.copyfile(source, target)
