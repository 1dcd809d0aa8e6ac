"""The watch over the code that a worker has loaded."""

from __future__ import annotations

import asyncio
from pathlib import Path

from holdfast.stack.code_watch import changes
from holdfast.stack.serving import LoadedFile, Serving
from tests.support.tiers import patience

TIMEOUT = patience(20.0)  # seconds; reached only when a test fails


async def test_a_change_while_the_last_one_is_handled_is_noticed(tmp_path: Path) -> None:
    """A file that is saved again while the worker is checked or restarted causes another look."""
    file = tmp_path / "agents.py"
    file.write_text("MODEL = 1 / 0\n")
    loaded = LoadedFile(mtime_ns=0, size=0, digest="of what the worker has loaded")
    serving = Serving(pid=1, born="", agents=[], files={str(file): loaded})
    found = changes(lambda: serving)
    assert await anext(found) == serving
    file.write_text("MODEL = 'large'\n")
    async with asyncio.timeout(TIMEOUT):
        assert await anext(found) == serving
