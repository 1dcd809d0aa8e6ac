"""The standard streams of the worker, which tools may close."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.cli import STARTER, CommandLine


def test_a_tool_that_closes_the_streams_redirects_nothing() -> None:
    """What is printed and logged never goes into a connection, and closed streams are open again after the call."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.closing_tools"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        "printed while closed",
        "nothing has reached connection 0 1",
        "written to 1",
        "closed",
        "written to 1",
    ]
    for line in ("logged while closed", "logged after close_descriptors", "logged after close_streams"):
        assert done.stderr.count(line) == 1
    assert done.stderr.count("written to 2") == 2
    for name in ("input", "output", "error"):
        assert done.stderr.count(f"stream='standard {name}' tool=close_descriptors") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", [("--version",), ("key",), ("run", "a", "b", "--workspace", "/none")])
def test_commands_work_without_their_streams(closed: str, words: tuple[str, ...]) -> None:
    """A command that is started without a standard stream ends as with one, and writes nothing else anywhere."""
    with_streams = CommandLine()(*words)
    done = subprocess.run(
        ["bash", "-c", f'"$@" {closed}', "bash", *STARTER, *words],
        env=CommandLine().environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == with_streams.code
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == (0 if " >&-" in f" {closed}" else len(with_streams.out.splitlines()))
    assert done.stderr == ("" if "2>&-" in closed else with_streams.err)
