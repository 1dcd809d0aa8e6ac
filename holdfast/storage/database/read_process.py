"""The process of a read: opens a copy of a database, runs one statement with bounded memory and time, and ends.

It takes a frame from standard input and writes one to standard output, in the format of the gateway.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import sys
from pathlib import Path
from typing import Any

from holdfast.errors import UsageError
from holdfast.storage.database.damage import damages
from holdfast.storage.database.embedded import PathEndpoint
from holdfast.storage.database.gateway.wire import FAILED, MAX_FRAME, OK, decode, encode, error_parts
from holdfast.storage.database.migrate import Schema
from holdfast.storage.database.pool import Pool
from holdfast.storage.database.read_only import EmbeddedReader

NICENESS = 5  # below the worker
DATA = re.compile(r"^VmData:\s+(\d+) kB", re.MULTILINE)
STATUS = Path("/proc/self/status")


def main() -> None:
    """Answers one request."""
    os.nice(NICENESS)
    request = decode(sys.stdin.buffer.read())
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the engine prints when it repairs a log
    asyncio.run(_answer(request, answer))


async def _answer(request: list[Any], answer: int) -> None:
    """Writes the answer and ends the process at once.

    The engine is not closed: its files are a copy that is thrown away, and closing it while it still runs a statement
    that was stopped may abort the process.
    """
    frame = await _answered(request)
    with os.fdopen(answer, "wb") as writing:
        writing.write(frame)
    os._exit(0)


async def _answered(request: list[Any]) -> bytes:
    path, namespace, database, statement, values, deadline, memory = request
    endpoint = PathEndpoint(Path(path), namespace, database)
    pool = Pool(endpoint, Schema())
    try:
        await pool.open()
        _limit_memory(memory)
        results = await EmbeddedReader(endpoint, pool, deadline).read(statement, values)
        try:
            return encode([OK, results, [str(damage) for damage in damages(Path(path))]])
        except (UsageError, MemoryError):
            most = f"at most {MAX_FRAME // 2**20} MB can be shown"
            raise UsageError(f"the answer is too large, {most}: narrow the statement, or add LIMIT") from None
    except Exception as error:  # noqa: BLE001 - every error is sent to the caller
        return encode([FAILED, *error_parts(error)])


def _limit_memory(more: int) -> None:
    """Bounds what the process may allocate from now on; only Linux reports what it has allocated."""
    if found := DATA.search(STATUS.read_text() if STATUS.exists() else ""):
        bound = int(found[1]) * 1024 + more
        resource.setrlimit(resource.RLIMIT_DATA, (bound, resource.getrlimit(resource.RLIMIT_DATA)[1]))


if __name__ == "__main__":
    main()
