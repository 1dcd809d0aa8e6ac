"""`worker`: runs a worker in the foreground."""

from __future__ import annotations

import os
import sys

from holdfast.settings import Settings
from holdfast.stack.worker import command

EXAMPLES = """
    $ worker
    LOG_FORMAT=json TEMPORAL_ADDRESS=temporal:7233 $ worker
"""


async def worker() -> None:
    """Runs a worker in the foreground.

    It reads its settings from the environment, and shuts down cleanly on Ctrl-C. The
    local stack has a worker of its own: this one is for a server that
    TEMPORAL_ADDRESS names.
    """
    Settings.load()  # reports a bad value in one line
    sys.stdout.flush()
    os.execv(sys.executable, command())  # noqa: S606 - this interpreter
