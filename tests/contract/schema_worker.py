"""A process that opens a database, as a starting worker does; it waits for a line, so that several begin at once."""

from __future__ import annotations

import asyncio
import sys

from holdfast.storage.database import open_database


async def main(url: str, database: str, username: str, password: str) -> None:
    opened = open_database(url, database=database, username=username, password=password)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await opened.open()
    [version] = await opened.run("RETURN (SELECT VALUE version FROM ONLY schema_version:mirror)")
    await opened.close()
    print(version, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
