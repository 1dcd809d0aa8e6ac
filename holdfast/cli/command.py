"""Turns a function into a command: help with examples, errors as one line, an exit code for everything."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec

import typer

from holdfast.cli.exit_code import ExitCode, for_error
from holdfast.cli.program import name
from holdfast.cli.render.output import Output
from holdfast.errors import HoldfastError
from holdfast.settings import Settings

P = ParamSpec("P")
Command = Callable[P, Awaitable[ExitCode | None]]


def register(app: typer.Typer, verb: str, function: Command[P], *, examples: str) -> None:
    """Adds a command to the app.

    Args:
        app: takes it.
        verb: what it is called.
        function: does it; its docstring is the help, its ExitCode (None: OK) how it ended.
        examples: shell commands, one a line, with `$` for this program.
    """
    app.command(verb, help=_help(function, examples))(_guarded(function))


def register_default(
    app: typer.Typer, function: Callable[Concatenate[typer.Context, P], Awaitable[ExitCode | None]], *, examples: str
) -> None:
    """Makes a command what a group of commands does when it is called alone.

    Args:
        app: the group.
        function: as `register` takes it; its first argument is `context`.
        examples: as `register` takes them.
    """
    guarded = _guarded(function)

    @functools.wraps(function)
    def default(context: typer.Context, *args: P.args, **kwargs: P.kwargs) -> None:
        if context.invoked_subcommand is None:
            guarded(context, *args, **kwargs)

    app.callback(invoke_without_command=True, help=_help(function, examples))(default)


def _help(function: Callable[..., object], examples: str) -> str:
    described = inspect.cleandoc(function.__doc__ or "").partition("\n\nArgs:")[0]
    shown = [f"  {line.replace('$ ', f'{name()} ', 1)}" for line in inspect.cleandoc(examples).splitlines()]
    keep_lines = "\b"
    return "\n".join([described, "", keep_lines, "Examples:", *shown])


def _guarded(function: Command[P]) -> Callable[P, None]:
    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        logging.getLogger("temporalio").setLevel(logging.ERROR)  # what goes wrong is said in our own words
        try:
            code = asyncio.run(_awaited(function(*args, **kwargs)))
        except BrokenPipeError:
            _stop_writing()
            code = ExitCode.OK  # whoever read has read enough
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place where one can be caught
            code = _explain(error)
        raise typer.Exit(int(code or ExitCode.OK))

    return guarded


async def _awaited(result: Awaitable[ExitCode | None]) -> ExitCode | None:
    return await result


def _explain(error: BaseException) -> ExitCode:
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.CANCELLED
    out = Output()
    if _debugging():
        traceback.print_exception(error)
    if isinstance(error, HoldfastError):
        out.error(str(error))
    else:
        out.error(f"{type(error).__name__}: {error}")
        out.note("this should not happen; LOG_LEVEL=DEBUG before the command shows where it did")
    return for_error(error)


def _debugging() -> bool:
    with contextlib.suppress(HoldfastError):
        return Settings.load().log_level == "DEBUG"
    return False


def _stop_writing() -> None:
    """Keeps the interpreter from failing once more when it flushes at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
