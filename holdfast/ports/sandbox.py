"""Port of sandboxes, in which tools run commands that a model wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from holdfast.errors import HoldfastError

Stopped = Literal["time", "memory", "output", "lost"]
"""The limit for which a command and all its processes were killed; `lost` if what ran it was killed."""


class SandboxUnavailable(HoldfastError):
    """No command can run on this worker; the message names the cause and what its operator can do."""


@dataclass(frozen=True)
class Command:
    """A script to run in a workspace."""

    script: str
    language: Literal["shell", "python"]
    workspace: Path
    """An existing folder, with all links resolved; the command may change what is in it."""
    seconds: float
    """Maximum seconds until it is killed."""
    hidden: list[Path] = field(default_factory=list)
    """Files and folders in the workspace, relative to it, that the command must not see."""


@dataclass(frozen=True)
class CommandResult:
    """What a command did."""

    exit_code: int
    """128 plus the number of the signal, if a signal ended it."""
    stdout: str
    """The output, without its middle if it is long."""
    stderr: str
    seconds: float
    stopped: Stopped | None = None
    """Why it was killed; `None` means that it ended by itself."""


class SandboxProtocol(Protocol):
    """Runs commands apart from the worker."""

    async def run(self, command: Command) -> CommandResult:
        """Runs a command until it ends; if the caller is cancelled, all its processes are killed.

        Raises:
            SandboxUnavailable: the sandbox does not work on this machine.
        """
