"""Processes that a benchmark starts and stops."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT = 30.0  # seconds until a process must have printed its first line, which takes one or two
STOP_TIMEOUT = 10.0  # seconds until a terminated process is killed


@dataclass(frozen=True)
class Running:
    """A process that has printed its first line."""

    pid: int
    first_line: str


@asynccontextmanager
async def running(module: str, *arguments: str, log: Path) -> AsyncIterator[Running]:
    """Runs `python -m module` for the length of the block.

    Args:
        module: the module, which prints a line to stdout when it is ready.
        arguments: its command-line arguments.
        log: file for its stderr.

    Raises:
        RuntimeError: it ended, or did not print a line in time.
    """
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C reaches only the benchmark, which stops them in order
        )
    try:
        yield Running(process.pid, await _first_line(process, module, log))
    finally:
        await end(process)


async def _first_line(process: asyncio.subprocess.Process, module: str, log: Path) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT):
            line = await process.stdout.readline()
    except TimeoutError:
        raise RuntimeError(f"{module} did not start within {START_TIMEOUT:g} s") from None
    if not line:
        wrote = await asyncio.to_thread(log.read_text, errors="replace")
        raise RuntimeError(f"{module} ended before it was ready; it wrote:\n{wrote}")
    return line.decode().strip()


async def end(process: asyncio.subprocess.Process) -> None:
    """Terminates a process, and kills it if it does not end in time."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
