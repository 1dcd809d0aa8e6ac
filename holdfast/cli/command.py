"""Functions as commands: help with examples, errors as one line, an exit code for everything."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import ParamSpec

import typer

from holdfast._util.terminal import clean
from holdfast.cli.exit_code import ExitCode, for_error
from holdfast.cli.option_groups import flattened
from holdfast.cli.parsing import ParsedCommand
from holdfast.cli.program import name
from holdfast.cli.render.output import Output
from holdfast.errors import HoldfastError

FULL = {errno.ENOSPC, errno.EDQUOT}

P = ParamSpec("P")
Command = Callable[P, Awaitable[ExitCode | None]]


def register(app: typer.Typer, verb: str, function: Command[P], *, examples: str) -> None:
    """Adds a command to the app.

    Args:
        app: receives the command.
        verb: its name.
        function: does the work; its docstring is the help, and the ExitCode that it returns that of the program
            (`None` means OK).
        examples: shell commands, one per line, with `$` for this program.
    """
    app.command(verb, cls=ParsedCommand, help=_help(function, examples))(_guarded(flattened(function)))


def _help(function: Callable[..., object], examples: str) -> str:
    description = inspect.cleandoc(function.__doc__ or "").partition("\n\nArgs:")[0]
    shown = [f"  {line.replace('$ ', f'{name()} ', 1)}" for line in inspect.cleandoc(examples).splitlines()]
    keep_lines = "\b"
    return "\n".join([description, "", keep_lines, "Examples:", *shown])


def _guarded(function: Command[P]) -> Callable[P, None]:
    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        logging.basicConfig(handlers=[_Warnings()], level=logging.WARNING)
        logging.getLogger("temporalio").setLevel(logging.ERROR)  # our own messages say what went wrong
        try:
            code = asyncio.run(_awaited(function(*args, **kwargs)))
        except BrokenPipeError:
            _stop_writing()
            code = ExitCode.OK  # the reader has read enough
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place where one can be caught
            code = _explain(error)
        raise typer.Exit(int(code or ExitCode.OK))

    return guarded


class _Warnings(logging.Handler):
    """Shows what libraries log, on standard error, as standard output belongs to the command's data."""

    def emit(self, record: logging.LogRecord) -> None:
        """Shows one line, without its traceback."""
        Output().warn(record.getMessage())


async def _awaited(result: Awaitable[ExitCode | None]) -> ExitCode | None:
    return await result


def _explain(error: BaseException) -> ExitCode:
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.CANCELLED
    out = Output()
    if _is_debugging():
        sys.stderr.write(clean("".join(traceback.format_exception(error))))
    if isinstance(error, HoldfastError):
        out.error(str(error))
    elif isinstance(error, OSError) and error.errno in FULL:
        out.error(f"the output or a file could not be written: {error.strerror}")
        _stop_writing()
    else:
        out.error(f"{type(error).__name__}: {error}")
        out.note("this is a bug; set LOG_LEVEL=DEBUG to see where it happened")
    return for_error(error)


def _is_debugging() -> bool:
    from holdfast.settings import Settings  # noqa: PLC0415 - `--help` needs no settings

    with contextlib.suppress(HoldfastError):
        return Settings.load().log_level == "DEBUG"
    return False


def _stop_writing() -> None:
    """Prevents a second error when the interpreter flushes at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
