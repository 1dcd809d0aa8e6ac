"""Processes that outlive the command that started them, and how to know them again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL_INTERVAL = 0.02  # seconds between looks at a process that is ending
KILL_PATIENCE = 5.0  # seconds; the kernel needs longer only when a disk hangs
LOG_LIMIT = 10_000_000  # bytes; a larger log is set aside when its process starts anew
TAIL_BYTES = 8_000  # bytes of a log that are read to show its last lines

PACKAGE_PARENT = Path(__file__).absolute().parents[2]
"""The folder from which `holdfast` is imported: site-packages, or a checkout."""

LAUNCHER = Path(__file__).absolute().with_name("launch.py")

_children: set[int] = set()
"""Processes that this one started, so that they can be reaped."""


def birth(pid: int) -> str | None:
    """What tells a process from a later one with the same pid; None when it does not run.

    The kernel's start time: in clock ticks since that boot on Linux, as `ps` prints it elsewhere.
    """
    _reap(pid)
    if Path("/proc/self/stat").exists():
        return _birth_from_proc(pid)
    return _birth_from_ps(pid)


def _birth_from_proc(pid: int) -> str | None:
    try:
        # The command's name, in parentheses, may itself hold blanks and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return None
    state, start_ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{start_ticks}"


def _birth_from_ps(pid: int) -> str | None:
    command = ["ps", "-o", "state=", "-o", "lstart=", "-p", str(pid)]
    shown = subprocess.run(  # noqa: S603 - the command is ours
        command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False
    )
    state, _, started = shown.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def is_alive(pid: int, born: str) -> bool:
    """Whether the very process that `birth` described still runs."""
    return birth(pid) == born


def _reap(pid: int) -> None:
    if pid in _children:
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:  # somebody else has reaped it
            ended = True
        if ended:
            _children.remove(pid)


def module_command(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module of this package in this interpreter, whatever the current folder holds."""
    never_from_here = "-P"
    return [sys.executable, never_from_here, str(LAUNCHER), module, *arguments]


def spawn(command: Sequence[str], log: Path, env: Mapping[str, str], keep: Sequence[int] = ()) -> int:
    """Starts a process of its own session, so that neither Ctrl-C nor a closed terminal ends it.

    Args:
        command: program and arguments.
        log: both output streams are appended to it.
        env: the whole environment.
        keep: file descriptors that stay open in the process.

    Returns:
        The pid.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - callers pass commands of ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            pass_fds=keep,
        )
    process.returncode = 0  # it is meant to outlive this one: its object must not warn of that at exit
    _children.add(process.pid)
    return process.pid


async def stop(pid: int, born: str, patience: float) -> bool:
    """Asks a process to end, and after `patience` seconds kills it.

    Returns:
        Whether it ended by itself; True also when it does not run any more.
    """
    _signal(pid, born, signal.SIGTERM)
    if await _ended(pid, born, patience):
        return True
    await kill(pid, born)
    return False


async def kill(pid: int, born: str) -> None:
    """Ends a process as a crash would, and waits until it is gone."""
    _signal(pid, born, signal.SIGKILL)
    await _ended(pid, born, KILL_PATIENCE)


def _signal(pid: int, born: str, number: signal.Signals) -> None:
    if is_alive(pid, born):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


async def _ended(pid: int, born: str, patience: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while is_alive(pid, born):
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(POLL_INTERVAL)
    return True


def size(log: Path) -> int:
    """Bytes in a log now; 0 when there is none."""
    return log.stat().st_size if log.exists() else 0


def tail(log: Path, since: int = 0, lines: int = 15) -> str:
    """The last lines of a log that were written after byte `since`, indented for an error message."""
    if not log.exists():
        return "  (it wrote no log)"
    with log.open("rb") as stream:
        if since > size(log):  # the log was set aside in between
            since = 0
        stream.seek(max(since, size(log) - TAIL_BYTES))
        written = stream.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in written[-lines:]) or "  (it wrote nothing)"
