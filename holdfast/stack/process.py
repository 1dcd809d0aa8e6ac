"""Background processes, identified by their pid and start time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL_INTERVAL = 0.02  # seconds between checks of a process that is ending
KILL_TIMEOUT = 5.0  # seconds; the kernel needs longer only if a disk hangs
LOG_LIMIT = 10_000_000  # bytes; a larger log is rotated when its process is started again
LEAST_ROOM = 1_000_000  # bytes; the database of a new Temporal server needs more
TAIL_BYTES = 8_000  # bytes of a log that are read to show its last lines

PACKAGE_PARENT = Path(__file__).absolute().parents[2]
"""The folder from which `holdfast` is imported: site-packages, or a checkout."""

LAUNCHER = Path(__file__).absolute().with_name("launch.py")

_children: set[int] = set()
"""Pids of child processes, which must be reaped."""


def birth(pid: int) -> str | None:
    """Returns the start time of a process, which later processes with its pid do not have; `None` if it has ended.

    On Linux it is the boot id and the clock ticks since boot, elsewhere the text that `ps` prints.
    """
    _reap(pid)
    if Path("/proc/self/stat").exists():
        return _birth_from_proc(pid)
    return _birth_from_ps(pid)


def _birth_from_proc(pid: int) -> str | None:
    try:
        # The command's name, in parentheses, may contain spaces and parentheses.
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
    """Returns whether the process that `birth` identified is still running."""
    return birth(pid) == born


def _reap(pid: int) -> None:
    if pid in _children:
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:  # it has been reaped elsewhere
            ended = True
        if ended:
            _children.remove(pid)


def module_command(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module of this package in this interpreter, whatever the current folder holds."""
    never_from_here = "-P"
    return [sys.executable, never_from_here, str(LAUNCHER), module, *arguments]


def users_of(path: Path) -> list[int]:
    """Returns the pids of this user's other processes that have a file open; empty where there is no /proc."""
    wanted = path.stat()
    found = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it has ended meanwhile, or belongs to another user
            seen = descriptor.stat()
            if (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.add(int(descriptor.parts[2]))
    return sorted(found - {os.getpid()})


def environment_of(pid: int) -> dict[str, str] | None:
    """Returns the environment that a process was started with; `None` if the system does not tell."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    pairs = (os.fsdecode(line).partition("=") for line in raw.split(b"\0") if line)
    return {name: value for name, _, value in pairs}


def spawn(
    command: Sequence[str], log: Path, env: Mapping[str, str], *, folder: Path | None = None, keep: Sequence[int] = ()
) -> int:
    """Starts a process in a new session, so that neither Ctrl-C nor a closed terminal ends it.

    Args:
        command: program and arguments.
        log: both output streams are appended to it.
        env: the complete environment.
        folder: its working directory; `None` means that of this process.
        keep: file descriptors that stay open in the process.

    Returns:
        The pid.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - callers pass commands of ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=folder,
            start_new_session=True,
            pass_fds=keep,
        )
    process.returncode = 0  # prevents the warning at exit about a process that is still running
    _children.add(process.pid)
    return process.pid


async def stop(pid: int, born: str, grace_seconds: float) -> bool:
    """Sends SIGTERM to a process, and SIGKILL if it has not ended `grace_seconds` later.

    Returns:
        Whether it ended without SIGKILL; True also if it was not running.
    """
    send_signal(pid, born, signal.SIGTERM)
    if await _ended(pid, born, grace_seconds):
        return True
    await kill(pid, born)
    return False


async def kill(pid: int, born: str) -> None:
    """Kills a process and waits until it has ended."""
    send_signal(pid, born, signal.SIGKILL)
    await _ended(pid, born, KILL_TIMEOUT)


def send_signal(pid: int, born: str, number: signal.Signals) -> None:
    """Sends a signal to a process, unless it has ended."""
    if is_alive(pid, born):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


async def _ended(pid: int, born: str, timeout: float) -> bool:
    import asyncio  # noqa: PLC0415 - the supervisor uses this module without an event loop

    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while is_alive(pid, born):
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(POLL_INTERVAL)
    return True


def size(log: Path) -> int:
    """Returns the size of a log in bytes; 0 if there is none."""
    return log.stat().st_size if log.exists() else 0


def tail(log: Path, since: int = 0, lines: int = 15) -> str:
    """Returns the last lines of a log after byte `since`, indented for an error message; it also names a full disk."""
    full = f"\n  (the disk of {log.parent} is full)" if is_full(log.parent) else ""
    if not log.exists():
        return f"  (it wrote no log){full}"
    with log.open("rb") as stream:
        if since > size(log):  # the log was rotated in between
            since = 0
        stream.seek(max(since, size(log) - TAIL_BYTES))
        written = stream.read().decode(errors="replace").splitlines()
    return ("\n".join(f"  {line}" for line in written[-lines:]) or "  (it wrote nothing)") + full


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has too little room for a server to start."""
    try:
        return shutil.disk_usage(folder).free < LEAST_ROOM
    except OSError:
        return False
