"""`logs`: the logs of the local stack."""

from __future__ import annotations

import asyncio
import enum
import sys
from typing import Annotated

import typer

from holdfast._util.terminal import clean
from holdfast.cli.options import at_least
from holdfast.cli.program import command
from holdfast.errors import UsageError
from holdfast.settings import Settings

INTERVAL = 0.2  # seconds between looks at a log that is followed

EXAMPLES = """
    $ logs
    $ logs temporal -n 100
    $ logs worker -f
"""


class LogName(enum.StrEnum):
    """Whose log."""

    WORKER = "worker"
    TEMPORAL = "temporal"
    MODEL = "model"
    SUPERVISOR = "supervisor"


async def logs(
    name: Annotated[LogName, typer.Argument(metavar="[PART]", help="worker, temporal, model or supervisor.")] = (
        LogName.WORKER
    ),
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing what is added, until Ctrl-C.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="N", callback=at_least(0), help="How many of the last lines.")
    ] = 20,
) -> None:
    """Shows the log of a part of the local stack.

    A log stays when its part ends, so it also says why that was.
    """
    from holdfast.stack.log_file import LogFile  # noqa: PLC0415 - `--help` needs no stack
    from holdfast.stack.state import log_path  # noqa: PLC0415

    path = log_path(Settings.load().holdfast_home.absolute(), name.value)
    if not path.exists() and not follow:
        raise UsageError(f"there is no log {path} yet; `{command('up')}` starts the stack")
    log = LogFile(path)
    _write(log.tail(lines))
    while follow:
        await asyncio.sleep(INTERVAL)
        _write(log.added())


def _write(text: str) -> None:
    if text:
        sys.stdout.write(clean(text))
        sys.stdout.flush()
