"""Fixtures of the contract tests."""

from __future__ import annotations

from tests.support.database_fixtures import databases as databases  # noqa: PLC0414 - for pytest
from tests.support.database_fixtures import surreal as surreal  # noqa: PLC0414 - for pytest
