"""Logging of the library in programs that have not configured structlog."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from holdfast._util.logger import get_logger
get_logger("holdfast.example").warning("the bus is unavailable", run_id="a-run")
"""


def test_warnings_go_to_standard_error() -> None:
    """A program that imports the library keeps its standard output to itself; warnings go through `logging`."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "the bus is unavailable" in done.stderr
    assert "a-run" in done.stderr
