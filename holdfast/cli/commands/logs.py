"""`logs`: the logs of the local stack."""

from __future__ import annotations

import asyncio
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


PARTS = ("worker", "temporal", "model", "supervisor")


async def logs(
    part: Annotated[str, typer.Argument(metavar="PART", help=f"One of {', '.join(PARTS)}.")] = PARTS[0],
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

    if part not in PARTS:
        raise UsageError(f"the stack has no part {part!r}; its parts are {', '.join(PARTS)}")
    path = Settings.load().holdfast_home.absolute() / "logs" / f"{part}.log"
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
