"""Commands of models, run in bubblewrap, or directly if the operator wants it so."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from typing_extensions import override

from holdfast.ports.sandbox import Command, CommandResult, SandboxProtocol, SandboxUnavailable
from holdfast.sandbox import bubblewrap
from holdfast.sandbox.call import ISOLATED, PYTHON, SupervisedCall
from holdfast.sandbox.limits import Limits, counts_per_namespace
from holdfast.sandbox.supervisor import is_root

Mode = Literal["bwrap", "container", "off"]
"""`bwrap` confines commands with bubblewrap. `container` runs them directly, with limits and a clean environment: the
worker's container confines them. `off` runs them directly, with the worker's environment, and limits only their time
and output."""

STAGE = Path(__file__).with_name("stage.py")
PROBE_SECONDS = 20.0
SUFFIXES = {"shell": ".sh", "python": ".py"}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Sandbox(SandboxProtocol):
    """Runs commands in one of the modes; whether the mode works is checked before the first command."""

    def __init__(self, mode: Mode = "bwrap", limits: Limits | None = None, paths: Sequence[str] = ()) -> None:
        """
        Args:
            mode: how commands are confined.
            limits: what each command may use.
            paths: further files and folders that commands in bubblewrap can read, as absolute paths.
        """
        self.mode = mode
        self._limits = limits or Limits()
        self._paths = paths
        self._works = mode == "off"

    @override
    async def run(self, command: Command) -> CommandResult:
        if not self._works:
            await self._probe()
            self._works = True
        return await self._run(command)

    async def _probe(self) -> None:
        """Runs a command that does nothing, with the arguments of all others.

        Raises:
            SandboxUnavailable: it fails.
        """
        if sys.platform != "linux":
            bubblewrap.program() if self.mode == "bwrap" else _require_linux()
        with tempfile.TemporaryDirectory(prefix="holdfast-probe-", dir=temporary_folder()) as folder:
            found = await self._run(Command("exit 0", "shell", Path(folder), PROBE_SECONDS))
        if found.exit_code or found.stopped:
            reason = found.stopped or found.stderr.strip() or f"exit code {found.exit_code}"
            raise SandboxUnavailable(f"a command that does nothing failed in the sandbox: {reason}")

    async def _run(self, command: Command) -> CommandResult:
        temporary = None if self.mode == "bwrap" else tempfile.mkdtemp(prefix="holdfast-command-")
        try:
            request = await asyncio.to_thread(self._request, command, temporary)
            return await SupervisedCall(request).result()
        finally:
            if temporary:  # the supervisor removes it as well, as it may outlive this process
                shutil.rmtree(temporary, ignore_errors=True)

    def _request(self, command: Command, temporary: str | None) -> dict[str, Any]:
        """Returns what the supervisor does; see `supervisor.py`."""
        in_bwrap, is_limited = self.mode == "bwrap", self.mode != "off"
        folder = temporary or bubblewrap.TEMPORARY
        workspace = bubblewrap.WORKSPACE if in_bwrap else str(command.workspace)
        script = f"{folder}/command{SUFFIXES[command.language]}"
        shares_user = is_limited and not is_root() and not (in_bwrap and counts_per_namespace())
        stage = {
            "argv": [*_interpreter(command.language), script],
            "script": command.script,
            "script_file": script,
            "environment": _environment(folder, workspace) if is_limited else dict(os.environ),
            "limits": self._limits.of_process(shares_user=shares_user) if is_limited else {},
            "workspace": _identity(command.workspace),
        }
        return {
            "argv": [PYTHON, *ISOLATED, "-c", STAGE.read_text()],
            "stage": stage,
            "sandbox": self._bubblewrap(command) if in_bwrap else None,
            "own_user": bubblewrap.own_user() if in_bwrap else [],
            "workspace": str(command.workspace),
            "temporary": temporary,
            "seconds": command.seconds,
            "memory": self._limits.memory if is_limited else 0,
            "drops_root": is_limited,
            "limited": is_limited,
        }

    def _bubblewrap(self, command: Command) -> list[str]:
        return bubblewrap.arguments(command.workspace, command.hidden, self._paths, self._limits)


def temporary_folder() -> Path:
    """Returns the folder of temporary files, with all links resolved."""
    return Path(tempfile.gettempdir()).resolve()


def _require_linux() -> None:
    raise SandboxUnavailable(
        "HOLDFAST_SANDBOX=container needs Linux: run the worker in a Linux container, or, if commands of models may do "
        "on this machine whatever you may do, set HOLDFAST_SANDBOX=off"
    )


def _identity(folder: Path) -> list[int]:
    """Returns the device and the number of a folder, which no name on the way to it may have replaced with a link.

    Raises:
        SandboxUnavailable: one has.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if sys.platform == "linux" and Path(f"/proc/self/fd/{descriptor}").readlink() != folder:
            raise SandboxUnavailable("the workspace was replaced with a link while the command started")
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return [found.st_dev, found.st_ino]


@cache
def _interpreter(language: str) -> tuple[str, ...]:
    if language == "python":
        return (sys.executable,)
    return (shutil.which("bash", path=SYSTEM_PATH) or "/bin/sh",)


def _environment(temporary: str, workspace: str) -> dict[str, str]:
    """Returns the environment of commands, which has nothing of the worker's."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
        "HOME": temporary,
        "TMPDIR": temporary,
        "USER": "agent",
        "LANG": "C.UTF-8",
        "PYTHONPATH": workspace,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
