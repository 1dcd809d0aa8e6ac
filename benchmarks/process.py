"""Processes that belong to the benchmark alone, and end with it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_PATIENCE = 30.0  # seconds until a process must have said its first line; it takes one or two
STOP_PATIENCE = 10.0  # seconds that a process has to end by itself


@dataclass(frozen=True)
class Running:
    """A process that is ready."""

    pid: int
    said: str
    """Its first line."""


@asynccontextmanager
async def running(module: str, *arguments: str, log: Path) -> AsyncIterator[Running]:
    """Runs `python -m module` for the length of the block.

    Args:
        module: its first line on stdout says that it is ready.
        arguments: of the command line.
        log: what it writes to stderr.

    Raises:
        RuntimeError: it ended instead, or said nothing.
    """
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the benchmark, which ends them in order
        )
    try:
        yield Running(process.pid, await _first_line(process, module, log))
    finally:
        await end(process)


async def _first_line(process: asyncio.subprocess.Process, module: str, log: Path) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_PATIENCE):
            line = await process.stdout.readline()
    except TimeoutError:
        raise RuntimeError(f"{module} did not start within {START_PATIENCE:g} s") from None
    if not line:
        wrote = await asyncio.to_thread(log.read_text, errors="replace")
        raise RuntimeError(f"{module} ended at once; it wrote:\n{wrote}")
    return line.decode().strip()


async def end(process: asyncio.subprocess.Process) -> None:
    """Asks a process to end, and ends it if it does not."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
