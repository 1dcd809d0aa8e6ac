"""The command line: `python starter.py` in a checkout, `holdfast` where the package is installed."""

from __future__ import annotations

import contextlib
import os
import sys
from io import TextIOWrapper

from holdfast._util.streams import open_closed

NATIVE_PART = "temporalio.bridge.temporal_sdk_bridge"


def main() -> int:
    """Runs the command that `sys.argv` names and returns its exit code; see `holdfast.cli.exit_code`.

    If the command has connected to Temporal, the process ends here: threads of the SDK's native part still
    run then, and sometimes abort an interpreter that shuts down normally.
    """
    open_closed()
    code = _run()
    if NATIVE_PART in sys.modules:
        _flush()
        os._exit(code)
    return code


def _run() -> int:
    from holdfast.cli.app import application  # noqa: PLC0415 - importing the package alone stays cheap
    from holdfast.cli.program import name  # noqa: PLC0415

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character must not fail the command
    try:
        application()(prog_name=name())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the reader may have closed the pipe
            stream.flush()
