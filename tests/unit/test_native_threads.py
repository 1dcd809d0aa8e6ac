"""Programs that end while a thread of an SDK still runs Python code."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.cli import ROOT, TIMEOUT
from tests.support.lab import Lab

LINGERING = """
    import asyncio, threading, time
    from asyncio.selector_events import BaseSelectorEventLoop

    wake = BaseSelectorEventLoop._write_to_self

    def wake_and_linger(loop):
        wake(loop)
        if isinstance(threading.current_thread(), threading._DummyThread):  # an SDK's
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                time.sleep(0.0001)

    BaseSelectorEventLoop._write_to_self = wake_and_linger
"""
DATABASE = """
    from holdfast.storage.database import open_database

    async def main():
        database = open_database("mem://")
        print(await database.run("RETURN 1"))
        await database.close()

    asyncio.run(main())
"""
TEMPORAL = """
    import sys
    from holdfast.temporal.connection import connect_temporal

    async def main():
        client = await connect_temporal(sys.argv[1])
        print([await client.service_client.check_health()])

    asyncio.run(main())
"""


@pytest.mark.parametrize("program", [DATABASE, TEMPORAL], ids=["database", "temporal"])
async def test_a_program_ends_in_order_while_a_native_thread_lingers(program: str, lab: Lab, tmp_path: Path) -> None:
    """A program whose SDK still runs Python code when all work is done exits with 0, not from SIGABRT."""
    code = textwrap.dedent(LINGERING) + textwrap.dedent(program)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code, lab.settings.temporal_address or ""],
        env={"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=TIMEOUT,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() in {"[1]", "[True]"}
