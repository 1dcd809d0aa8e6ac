"""`worker`: runs a worker in the foreground."""

from __future__ import annotations

import os
import sys

from holdfast.settings import Settings
from holdfast.stack.worker import project_root

EXAMPLES = """
    $ worker
    LOG_FORMAT=json TEMPORAL_ADDRESS=temporal:7233 $ worker
"""


async def worker() -> None:
    """Runs a worker in the foreground.

    It goes by the settings of the environment; Ctrl-C ends it in order. The local
    stack brings a worker of its own: this one is for a server that TEMPORAL_ADDRESS
    names.
    """
    Settings.load()  # a bad value is better said here, in one line
    script = project_root() / "worker.py"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, str(script)])  # noqa: S606 - its own interpreter and its own file
