"""`worker`: runs a worker in the foreground."""

from __future__ import annotations

import os
import sys

from holdfast.cli.options import ReloadOption
from holdfast.cli.render.output import Output
from holdfast.settings import Settings
from holdfast.stack.worker import command

EXAMPLES = """
    $ worker
    LOG_FORMAT=json TEMPORAL_ADDRESS=temporal:7233 $ worker
"""


async def worker(*, reload: ReloadOption = False) -> int | None:
    """Runs a worker in the foreground.

    It reads its settings from the environment and `.env`, and shuts down cleanly on
    Ctrl-C. The local stack has a worker of its own: this one is for a server that
    TEMPORAL_ADDRESS names. It needs a configured model.
    """
    Settings.load()  # reports a bad value in one line
    if not reload:
        sys.stdout.flush()
        os.execv(sys.executable, command())  # noqa: S606 - this interpreter
    from holdfast.cli.reloading import run_reloading  # noqa: PLC0415 - it loads the watcher of files

    return await run_reloading(Output())
