"""The last step before a command: runs in its place, restricts itself for good, and becomes the command.

It is passed to `python -I -S -c` as text, as nothing of this package is visible in a sandbox. Its standard input is the
JSON text of a `Stage`.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

SET_DEATH_SIGNAL, SET_KEEP_CAPS, DROP_BOUND, NO_NEW_PRIVS, AMBIENT, AMBIENT_RAISE = 1, 8, 24, 38, 47, 2  # prctl(2)
FILE_CAPS = (1, 3)  # CAP_DAC_OVERRIDE and CAP_FOWNER: to use the files of root, to whom the workspace belongs
LAST_CAP = 63
CAP_VERSION = 0x20080522
SIGKILL = 9
IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGXFSZ")
NOT_ROOT = (
    "the worker is root, whose processes the kernel does not count, and lacks the capabilities SETUID and SETGID to "
    "become another user: run it as another user than root"
)
NICE = 5  # below the worker, which must heartbeat


def main() -> None:
    """Restricts this process and becomes the command; writes what prevents it to a descriptor of the supervisor."""
    stage = json.loads(sys.stdin.buffer.read())
    os.set_inheritable(stage["fault"], False)
    try:
        _become_command(stage)
    except BaseException as error:  # noqa: BLE001 - another process reports it
        os.write(stage["fault"], f"{type(error).__name__}: {error}".encode())
        raise SystemExit(1) from None


def _become_command(stage: dict[str, Any]) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in IGNORED:  # by the supervisor, or by Python
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    _check_workspace(stage["workspace"])
    script = Path(stage["script_file"])
    script.write_text(stage["script"], encoding="utf-8", errors="replace")
    os.nice(NICE)
    for name, limit in stage["limits"].items():
        _limit(getattr(resource, f"RLIMIT_{name}"), limit)
    if stage["user"] is not None:
        script.chmod(0o644)
        _become(*stage["user"])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, SIGKILL)  # setting the user has cleared it
    os.execve(stage["argv"][0], stage["argv"], stage["environment"])  # noqa: S606 - the script is a file


def _check_workspace(expected: list[int]) -> None:
    """The folder was opened by its path, which someone may have replaced with a link since it was checked."""
    here = Path.cwd().stat()
    if [here.st_dev, here.st_ino] != expected:
        raise RuntimeError("the workspace was replaced while the command started")


def _limit(kind: int, limit: int) -> None:
    highest = resource.getrlimit(kind)[1]
    if highest != resource.RLIM_INFINITY:
        limit = min(limit, highest)
    resource.setrlimit(kind, (limit, limit))


def _become(user: int, group: int) -> None:
    """Becomes another user, whose processes the kernel counts as it never counts those of root."""
    libc: Any = ctypes.CDLL(None, use_errno=True)
    for capability in range(LAST_CAP):
        if capability not in FILE_CAPS:
            libc.prctl(DROP_BOUND, capability, 0, 0, 0)  # fails for those that this kernel does not have
    libc.prctl(SET_KEEP_CAPS, 1, 0, 0, 0)
    with suppress(PermissionError):  # a user namespace may forbid it, and then has no further groups
        os.setgroups([])
    try:
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    except PermissionError:
        raise RuntimeError(NOT_ROOT) from None
    mask = sum(1 << capability for capability in FILE_CAPS)
    if libc.capset((ctypes.c_uint32 * 2)(CAP_VERSION, 0), (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)):
        raise RuntimeError(f"the command may not use the files of root: {os.strerror(ctypes.get_errno())}")
    for capability in FILE_CAPS:
        libc.prctl(AMBIENT, AMBIENT_RAISE, capability, 0, 0)
    libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
