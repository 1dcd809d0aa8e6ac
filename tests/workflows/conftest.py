"""Fixtures of the tests of workflows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from holdfast._util.loop_thread import LoopThread
from tests.support.database_fixtures import databases as databases  # noqa: PLC0414 - for pytest
from tests.support.database_fixtures import surreal as surreal  # noqa: PLC0414 - for pytest
from tests.support.lab import Lab
from tests.support.short_histories import short_history_server

END_TIMEOUT = 10.0  # seconds for the end of the thread; it takes milliseconds


@pytest.fixture(scope="session")
def short_histories_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that suggests continue-as-new early; each test process starts one when it first needs it."""
    loop = LoopThread("short-histories")
    server = short_history_server(tmp_path_factory.mktemp("short-histories"))
    address = loop.submit(server.__aenter__()).result()
    try:
        yield address
    finally:
        loop.submit(server.__aexit__(None, None, None)).result()
        loop.end(END_TIMEOUT)


@pytest.fixture
async def short_histories(short_histories_address: str, tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab whose runs continue as new after some dozen turns."""
    async with Lab.open(short_histories_address, tmp_path) as lab:
        yield lab
