"""Tools that run commands in the workspace, in the worker's sandbox: a shell, and Python."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from pydantic import Field

from holdfast.agents.tool import ToolContext, ToolError, tool
from holdfast.ports.sandbox import Command, CommandResult, SandboxUnavailable
from holdfast.tools.changes import Snapshot
from holdfast.tools.workspace import Workspace, shown
from holdfast.types import ToolResult, clean_text

MAX_SECONDS = 1800.0  # of one command; a longer one is a job for a tool of its own
START_GRACE = 60.0  # seconds for listing the workspace and for starting and ending the command
AT_ONCE = 8  # calls of one tool in one worker: each may take a core, and the memory that a command may use
MAX_NAMED = 50  # changed files in one result

Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]


@tool(destructive=True, timeout=MAX_SECONDS + START_GRACE, concurrency=AT_ONCE)
async def run_shell(command: str, seconds: Seconds = 120, *, context: ToolContext) -> ToolResult:
    """Run a shell command or script in the workspace.

    The result has the exit code, standard output, standard error, and the files that were changed. The command begins
    in the workspace, the only place where files are kept; its environment is empty, it has no network, and files that
    usually hold secrets are hidden. Standard input is empty. When the command ends, so do all processes that it
    started. Memory, processes and the sizes of files are limited. Long output is cut in the middle.

    Args:
        command: The command, for bash if it is there, else for sh; it may have several lines.
        seconds: Maximum seconds until it is killed.
        context: Context of the call, with the workspace and the sandbox.
    """
    return await _run(command, "shell", seconds, context)


@tool(destructive=True, timeout=MAX_SECONDS + START_GRACE, concurrency=AT_ONCE)
async def run_python(code: str, seconds: Seconds = 120, *, context: ToolContext) -> ToolResult:
    """Run a Python program in the workspace; print what you want to see.

    The result has the exit code, standard output, standard error, and the files that were changed. The program begins
    in the workspace, the only place where files are kept, and can import modules from there. Nothing is remembered from
    one call to the next. It has no network, and files that usually hold secrets are hidden. When it ends, so do all
    processes that it started. Memory, processes and the sizes of files are limited.

    Args:
        code: The whole program.
        seconds: Maximum seconds until it is killed.
        context: Context of the call, with the workspace and the sandbox.
    """
    return await _run(code, "python", seconds, context)


async def _run(script: str, language: Literal["shell", "python"], seconds: float, context: ToolContext) -> ToolResult:
    if not script.strip():
        raise ToolError("there is nothing to run: the text is blank")
    if context.sandbox is None:
        raise _unavailable("it has no sandbox")
    workspace = Workspace.of(context)
    before = await asyncio.to_thread(Snapshot.of, workspace)
    command = Command(str(clean_text(script)), language, workspace.folder(), seconds, before.hidden)
    try:
        result = await context.sandbox.run(command)
    except SandboxUnavailable as error:
        raise _unavailable(str(error)) from None
    after = await asyncio.to_thread(Snapshot.of, workspace)
    return _report(result, after.written_since(before), before.lost_in(after), seconds)


def _unavailable(reason: str) -> ToolError:
    return ToolError(
        f"this worker cannot run commands: {reason}. Only its operator can change that; continue without commands, and "
        "say in your answer what you could not run"
    )


def _report(result: CommandResult, written: list[str], deleted: list[str], seconds: float) -> ToolResult:
    ended = _end(result, seconds)
    parts = [ended]
    for name, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        if text:
            parts.append(f"{name}:\n{text.removesuffix(chr(10))}")
    if not result.stdout and not result.stderr:
        parts.append("(no output)")
    parts += [f"{what}: {_named(names)}" for what, names in (("written", written), ("deleted", deleted)) if names]
    text = clean_text("\n".join(parts).replace("\0", "\N{REPLACEMENT CHARACTER}"))
    files = [shown(name) for name in written]
    return ToolResult(error=text, files=files) if result.stopped else ToolResult(content=text, files=files)


def _end(result: CommandResult, seconds: float) -> str:
    match result.stopped:
        case None:
            return f"exit code {result.exit_code} after {result.seconds:.1f} s"
        case "time":
            return f"killed, as it did not end within {seconds:g} s; pass more seconds, at most {MAX_SECONDS:g}"
        case "memory":
            return "killed, as its processes together used more memory than a command may use; process less at a time"
        case "lost":
            return "what ran it was killed, so that it is unknown how far it came"
        case "output":
            return "killed, as it wrote too much output; write to a file, and read parts of it"


def _named(names: list[str]) -> str:
    rest = len(names) - MAX_NAMED
    return ", ".join(map(shown, names[:MAX_NAMED])) + (f" and {rest} more" if rest > 0 else "")
