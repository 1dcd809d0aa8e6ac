"""Shared fixtures: one Temporal server per session, and a lab on it per test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from holdfast.settings import Settings
from holdfast.testing.session_stack import SessionStack
from tests.support import tiers
from tests.support.lab import Lab

SETTINGS = [name.upper() for name in Settings.model_fields]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the slow tier."""
    parser.addoption("--slow", action="store_true", help="run the slow tier too, and every test in its full size")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the slow tier out of a normal run, where `-m` chooses by itself; gives tests in full size more time."""
    if tiers.is_slow():
        for item in items:
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(tiers.FULL_SIZE_TIMEOUT))
    if tiers.is_slow() or config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_configure(config: pytest.Config) -> None:
    """Removes settings of the environment, which are not the tests', and names a state folder that none may use."""
    if config.option.slow:
        os.environ[tiers.SLOW] = "1"
    for name in SETTINGS:
        os.environ.pop(name, None)
    os.environ["HOLDFAST_HOME"] = tempfile.mkdtemp(prefix="holdfast-state-of-no-test-")
    # A shell starts background jobs with SIGINT ignored, and so would everything be that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """Removes the state folder."""
    shutil.rmtree(os.environ["HOLDFAST_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def untouched_state() -> Iterator[None]:
    """No test uses the state folder that it has by default: it would share it with others, and with the developer."""
    home = Path(os.environ["HOLDFAST_HOME"])
    before = set(home.iterdir())
    yield
    assert set(home.iterdir()) <= before, "the test has used the default state folder; set HOLDFAST_HOME in it"


@pytest.fixture(scope="session")
def temporal_address(stack: SessionStack) -> str:
    """A Temporal server, started by the first test that needs it."""
    return stack.address


@pytest.fixture
async def lab(temporal_address: str, tmp_path: Path) -> AsyncIterator[Lab]:
    """A client, a model server and a store; tests start the worker that they need."""
    async with Lab.open(temporal_address, tmp_path) as lab:
        yield lab
