"""Fixtures that the tests of the examples share."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that a test starts import the package of the checkout, as an installed one needs no help to be found."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
