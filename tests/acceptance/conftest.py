"""Fixtures of the acceptance tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support import forked_commands, forked_parts
from tests.support.cli_stack import CliStack, open_cli_stack
from tests.support.place import Place
from tests.support.processes import Site


@pytest.fixture(scope="session")
def cli_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliStack]:
    """A whole stack, used through the command line alone; each test process starts one when it first needs it."""
    with open_cli_stack(tmp_path_factory.mktemp("cli")) as stack:
        yield stack


@pytest.fixture
def cli(cli_stack: CliStack) -> Iterator[CliStack]:
    """The command line of the stack, whose model answers again after each test."""
    yield cli_stack
    cli_stack.server.release()


@pytest.fixture
def forked_stack() -> Iterator[None]:
    """Lets the stack that a test starts have its parts in forked processes, if this session forks."""
    if not forked_commands.may_fork():
        yield
        return
    forked_commands.start_server()
    with forked_parts.installed():
        yield


@pytest.fixture
async def site(temporal_address: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Where the workers of a test run."""
    async with Site.open(temporal_address, tmp_path) as site:
        yield site


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A stack of a test's own."""
    async with Place.open(tmp_path) as place:
        yield place
