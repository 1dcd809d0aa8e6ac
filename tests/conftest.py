"""Shared fixtures: one Temporal server per session, and a lab on it per test."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.settings import Settings
from holdfast.stack import down, up
from tests.support import tiers
from tests.support.lab import Lab
from tests.support.session import TEST_HOME, shared_settings

SETTINGS = [name.upper() for name in Settings.model_fields]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the slow tier."""
    parser.addoption("--slow", action="store_true", help="run the slow tier too, and every test in its full size")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the slow tier out of a normal run; `-m` chooses by itself."""
    if tiers.is_slow() or config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_configure(config: pytest.Config) -> None:
    """The controlling process makes the folder that all test processes share."""
    if config.option.slow:
        os.environ[tiers.SLOW] = "1"
    for name in SETTINGS:
        os.environ.pop(name, None)
    # A shell starts background jobs with SIGINT ignored, and so would everything be that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        os.environ[TEST_HOME] = tempfile.mkdtemp(prefix="holdfast-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controlling process ends what the test processes have started."""
    if not hasattr(config, "workerinput"):
        home = Path(os.environ.pop(TEST_HOME))
        asyncio.run(down(Settings(holdfast_home=home), lambda _line: None))
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def temporal_address() -> str:
    """A Temporal server, started by the first test that needs it."""
    return asyncio.run(up(shared_settings(), print, worker=False)).address


@pytest.fixture
async def lab(temporal_address: str, tmp_path: Path) -> AsyncIterator[Lab]:
    """A client, a model server and a store; tests start the worker that they need."""
    async with Lab.open(temporal_address, tmp_path) as lab:
        yield lab
