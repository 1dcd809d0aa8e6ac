"""A process that shares an embedded database and executes commands from its standard input."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from surrealdb import RecordID

from holdfast.errors import HoldfastError, StoreUnavailable
from holdfast.storage.database import open_database
from holdfast.storage.database.shared import SharedDatabase

WRITE = "CREATE $row SET at = time::now() RETURN NONE"
WRITE_AGAIN = "UPSERT $row SET at = time::now() RETURN NONE"


class Peer:
    """What a test can ask for, by name."""

    def __init__(self, database: SharedDatabase) -> None:
        self._database = database

    async def open(self) -> bool:
        """Opens; tells whether this process holds the database then."""
        await self._database.open()
        return self._database.is_owner

    async def run(self, statement: str, values: dict[str, Any]) -> Any:
        """Runs a statement whose values and results are plain JSON."""
        return await self._database.run(statement, **values)

    async def write(self, name: str, rows: int) -> list[int]:
        """Creates numbered rows, retrying each until it is acknowledged; returns the numbers of those retried."""
        troubled = []
        for number in range(rows):
            row = RecordID("row", [name, number])
            try:
                await self._database.run(WRITE, row=row)
            except StoreUnavailable:
                troubled.append(number)
                await self._insist(row)
        return troubled

    async def _insist(self, row: RecordID) -> None:
        while True:
            try:
                await self._database.run(WRITE_AGAIN, row=row)
            except StoreUnavailable:
                continue
            return

    async def count(self, times: int) -> None:
        """Adds to a number that all peers add to."""
        for _ in range(times):
            await self._database.run("UPSERT counter:one SET n = (n ?? 0) + 1 RETURN NONE")

    async def is_owner(self) -> bool:
        """Returns whether this process owns the database."""
        return self._database.is_owner

    async def touch(self, table: str) -> None:
        """Reports that a table has changed."""
        self._database.touch(table)

    async def is_watched(self, table: str) -> bool:
        """Whether a table may be watched, in any process."""
        return self._database.is_watched(table)

    async def close(self) -> None:
        """Closes the database, but not the process."""
        await self._database.close()


async def main(url: str) -> None:
    database = open_database(url, shared=True)
    assert isinstance(database, SharedDatabase)
    peer = Peer(database)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    try:
        while line := await commands.readline():
            verb, *arguments = json.loads(line)
            try:
                answer = [True, await getattr(peer, verb)(*arguments)]
            except HoldfastError as error:
                answer = [False, type(error).__name__, str(error)]
            print(json.dumps(answer, default=str), flush=True)
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
