"""Logging of the library through the standard library's logging."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import unicodedata
from collections.abc import Iterator

import pytest
import structlog

from holdfast._util.logger import get_logger
from holdfast._util.logs import HIDDEN, configure_logging

SCRIPT = """
from holdfast._util.logger import get_logger
get_logger("holdfast.example").warning("the bus is unavailable", run_id="a-run")
"""


def test_warnings_go_to_standard_error() -> None:
    """A program that configures no logging keeps its standard output to itself; a warning is one plain line."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == "the bus is unavailable (run_id='a-run')\n"


def test_records_belong_to_the_program(caplog: pytest.LogCaptureFixture) -> None:
    """A handler of the program gets a record of the module's logger, from the place that logged it."""
    with caplog.at_level(logging.INFO, "holdfast.example"):
        get_logger("holdfast.example").info("100% done", files=3)
        get_logger("holdfast.example").debug("not shown")
    [record] = caplog.records
    assert (record.name, record.getMessage()) == ("holdfast.example", "100% done (files=3)")
    assert record.pathname == __file__


@pytest.fixture
def _unchanged() -> Iterator[None]:
    """Logging is as before afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_unchanged")
@pytest.mark.parametrize(("private", "reason"), [(False, "'it' is full"), (True, HIDDEN)])
def test_a_worker_keeps_fields_apart(capsys: pytest.CaptureFixture[str], *, private: bool, reason: str) -> None:
    """In the log of a worker, fields are not part of the event; those that quote are hidden if it is private."""
    configure_logging("INFO", "json", private=private)
    get_logger("holdfast.example").warning("the store is unavailable", reason="'it' is full", run_id="a-run")
    out, err = capsys.readouterr()
    assert out == ""
    found = json.loads(err)
    assert (found["event"], found["reason"], found["run_id"]) == ("the store is unavailable", reason, "a-run")
    assert found["logger"] == "holdfast.example"
    assert "is full" not in err or not private


@pytest.mark.usefixtures("_unchanged")
def test_the_log_controls_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields, events and tracebacks on the console have no escape sequences, and a field begins no line of its own."""
    configure_logging("INFO", "console")
    hostile = "a\x1b[2Jb\x9b31mc\u202ed\n2026-01-01 [info] forged"
    try:
        raise ValueError(hostile)
    except ValueError:
        get_logger("holdfast.example").exception("it failed", run_id=hostile)
    logging.getLogger("other").warning("said %s", hostile)
    written = capsys.readouterr().err
    assert {sign for sign in written if sign != "\n" and unicodedata.category(sign) in {"Cc", "Cf"}} == set()
    assert "run_id='ab31mcd" in written or "run_id=ab31mcd" in written
    assert len([line for line in written.splitlines() if line.startswith("2026-01-01 [info] forged")]) == 2
