"""Fixtures of tests that need databases; a conftest imports them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.databases import Databases
from tests.support.surreal_server import SurrealServer


@pytest.fixture(scope="module")
def surreal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurrealServer]:
    """A server of the module's own, started when it is first needed; a test may kill it."""
    server = SurrealServer.find(tmp_path_factory.mktemp("surreal"))
    yield server
    server.kill()


@pytest.fixture
async def databases(surreal: SurrealServer, tmp_path: Path) -> AsyncIterator[Databases]:
    """Makes databases, each empty."""
    databases = Databases(tmp_path, surreal)
    yield databases
    await databases.close()
