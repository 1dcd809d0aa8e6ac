"""A process that uses an embedded store, for tests that kill it or fill its disk."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable

from holdfast.errors import StoreUnavailable
from holdfast.ports import Store
from holdfast.storage.mirror import open_store
from holdfast.storage.mirror.sample import SampleRun

STEP = 3  # entries a batch
DISK = 400_000  # bytes that a file may have while the disk is "full"


async def write_until_killed(store: Store) -> None:
    """Appends batch after batch, and prints each acknowledged entry."""
    run = SampleRun(turns=5000, run_id="killed", text="x" * 200)
    for first in range(0, len(run.entries), STEP):
        head = await store.append(run.batch(first, first + STEP))
        print(head.seq, head.digest, flush=True)


async def fill_the_disk(store: Store) -> None:
    """Appends until the disk is full, makes room, and continues with the same store."""
    run = SampleRun(turns=400, run_id="full", text="x" * 1000)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, resource.RLIM_INFINITY))
    refusals = 0
    for first in range(0, len(run.entries), STEP):
        try:
            await store.append(run.batch(first, first + STEP))
        except StoreUnavailable as error:
            print("refused:", str(error).splitlines()[0], flush=True)
            refusals += 1
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await store.append(run.batch(first, first + STEP))
    found = await store.entries("full", limit=10_000)
    print("whole" if found == run.entries and refusals == 1 else "not whole", flush=True)


async def close_under_load(store: Store) -> None:
    """Cancels writers in the middle of their work and closes at once."""
    runs = [SampleRun(turns=20) for _ in range(10)]
    tasks = [asyncio.create_task(store.append(run.batch())) for run in runs]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await store.close()
    print("closed", flush=True)


async def hold(store: Store) -> None:
    """Keeps the database open."""
    await store.open()
    print(os.getpid(), flush=True)
    await asyncio.Event().wait()


MODES: dict[str, Callable[[Store], Awaitable[None]]] = {
    mode.__name__: mode for mode in (write_until_killed, fill_the_disk, close_under_load, hold)
}


async def main(mode: str, url: str) -> None:
    store = open_store(url)
    try:
        await MODES[mode](store)
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
