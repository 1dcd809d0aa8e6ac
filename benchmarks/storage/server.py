"""A SurrealDB server of the benchmark's own."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from benchmarks.process import end
from holdfast.stack.sockets import choose

USERNAME, PASSWORD = "root", "benchmark"
PLACES = (os.environ.get("PATH", ""), str(Path.home() / ".cache" / "holdfast-tests" / "bin"))
HOW_TO_GET_IT = "none; install `surreal` (surrealdb.com/install) for the figures of a server"
PORT = 18000  # or any free one
START_TIMEOUT = 20.0  # seconds; a start takes a fraction of one
POLL_INTERVAL = 0.02  # seconds


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str
    """host:port."""
    folder: Path
    """Its files."""


def find() -> str | None:
    """Returns the program, from PATH or from the folder of the tests; `None` if there is none."""
    return shutil.which("surreal", path=os.pathsep.join(PLACES))


async def version(program: str | None) -> str:
    """Returns the version that the program reports."""
    if program is None:
        return HOW_TO_GET_IT
    asked = await asyncio.create_subprocess_exec(program, "version", stdout=asyncio.subprocess.PIPE)
    said, _ = await asked.communicate()
    return said.decode().strip()


@asynccontextmanager
async def running_server(program: str, folder: Path) -> AsyncIterator[Server]:
    """Runs a server with its files in `folder` for the length of the block.

    Raises:
        RuntimeError: it ended instead, or does not answer.
    """
    address = f"127.0.0.1:{choose(PORT)}"
    options = ("--no-banner", "--user", USERNAME, "--pass", PASSWORD, "--bind", address)
    with (folder / "surreal.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(program, "start", *options, f"surrealkv://{folder}/data"),
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches only the benchmark, which stops it in order
        )
    try:
        await _until_it_answers(f"http://{address}/health", process, folder / "surreal.log")
        yield Server(address, folder / "data")
    finally:
        await end(process)


async def _until_it_answers(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT), httpx2.AsyncClient(trust_env=False) as client:
            while process.returncode is None:
                if await _answers(client, url):
                    return
                await asyncio.sleep(POLL_INTERVAL)
    except TimeoutError:
        pass
    wrote = await asyncio.to_thread(log.read_text, errors="replace")
    raise RuntimeError(f"the SurrealDB server did not start; it wrote:\n{wrote}")


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.TransportError:
        return False
