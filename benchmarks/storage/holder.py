"""A process that owns an embedded database and shares it: `python -m benchmarks.storage.holder FOLDER`."""

from __future__ import annotations

import asyncio
import signal
import sys

from holdfast.storage.database import open_database


async def hold(folder: str) -> None:
    """Serves until SIGTERM; its first line says that it is ready."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = open_database(f"surrealkv://{folder}", shared=True)
    await database.open()
    print("serves", flush=True)
    await stop.wait()
    await database.close()


if __name__ == "__main__":
    asyncio.run(hold(sys.argv[1]))
