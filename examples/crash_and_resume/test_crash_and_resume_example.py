"""Test of the example."""

import asyncio
import signal
import sys
from pathlib import Path

from holdfast.testing import AgentServer, ModelServer

PROGRAM = Path(__file__).with_name("crash_and_resume.py")


async def run(folder: Path) -> tuple[int, str]:
    """Runs the program, and returns its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


async def test_the_second_program_goes_on(model: ModelServer, serve: AgentServer, tmp_path: Path) -> None:
    """The first program dies after it has ordered; the second one asks for the delivery, and orders nothing."""
    serve()
    model.call_tools(order={"article": "rope"})
    model.call_tools(delivery={"article": "rope"})
    model.say("It comes on Monday.")
    assert (await run(tmp_path))[0] == -signal.SIGKILL
    assert await run(tmp_path) == (0, "It comes on Monday.\norders made: ['rope']\n")
    model.assert_complete()
