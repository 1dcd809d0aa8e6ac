"""Fixtures of the tests of workflows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.database_fixtures import databases as databases  # noqa: PLC0414 - for pytest
from tests.support.database_fixtures import surreal as surreal  # noqa: PLC0414 - for pytest
from tests.support.lab import Lab
from tests.support.short_histories import short_history_server


@pytest.fixture
async def short_histories(tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab whose runs continue as new after some dozen turns."""
    async with short_history_server(tmp_path) as address, Lab.open(address, tmp_path) as lab:
        yield lab
