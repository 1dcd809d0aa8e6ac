"""Sandboxes that work on this machine, and a way to see whether a process that ran in one still lives."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path

import pytest

from holdfast.ports.sandbox import Command, SandboxUnavailable
from holdfast.sandbox import Limits, Mode, Sandbox
from holdfast.sandbox.sandbox import temporary_folder

LIMITED: list[Mode] = ["bwrap", "container"]
"""The modes with limits; `container` works on every machine."""
LOCK = "held"  # in the workspace
HOLD = f"exec 9>{LOCK}; flock 9"
"""Shell code after which the lock is held by the shell and everything that it starts, as long as one of them lives."""


_works: dict[Mode, str] = {"off": ""}  # why a mode does not work; empty if it does


async def working(mode: Mode, **limits: int) -> Sandbox:
    """Returns a sandbox of this mode; skips the test, and says why, if there cannot be one on this machine."""
    if fault := await _fault_of(mode):
        assert mode == "bwrap", fault
        pytest.skip(f"commands cannot be confined here: {fault}")
    sandbox = Sandbox(mode, Limits(**limits))
    sandbox._works = True
    return sandbox


async def best() -> Mode:
    """Returns the mode that confines most on this machine."""
    return "container" if await _fault_of("bwrap") else "bwrap"


async def _fault_of(mode: Mode) -> str:
    if mode not in _works:
        _works[mode] = await _probe(Sandbox(mode))
    return _works[mode]


async def _probe(sandbox: Sandbox) -> str:
    with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        try:
            await sandbox.run(Command("true", "shell", Path(folder), 10))
        except SandboxUnavailable as error:
            return str(error)
    return ""


def is_held(workspace: Path) -> bool:
    """Whether a process lives that has inherited the lock, in whatever namespace it is."""
    with (workspace / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
