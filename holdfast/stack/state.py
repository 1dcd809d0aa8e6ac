"""State of the stack between commands: `stack.json` in the state folder."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field, ValidationError

from holdfast.errors import SettingsError
from holdfast.settings import Settings
from holdfast.stack.process import birth, is_alive
from holdfast.types import Data

PartName = Literal["temporal", "model", "worker"]
PortName = Literal["temporal", "ui", "model"]

PREFERRED_PORTS: dict[PortName, int] = {"temporal": 7233, "ui": 8233, "model": 8234}
"""Temporal's default ports, and the next one for the model server."""


class Part(Data):
    """One process of the stack."""

    name: PartName
    pid: int
    born: str
    """The process's start time, which later processes with the same pid do not have."""
    address: str | None = None
    """host:port that it listens on; `None` if it does not listen."""
    log: Path
    version: str | None = None
    since: AwareDatetime
    fingerprint: dict[str, str] = Field(default_factory=dict)
    """For the worker: hashes of the settings that it was started with."""

    @classmethod
    def of(cls, name: PartName, pid: int, log: Path, address: str | None = None, version: str | None = None) -> Part:
        """Describes a process that has just been started."""
        born = birth(pid) or ""
        return cls(name=name, pid=pid, born=born, address=address, log=log, version=version, since=datetime.now(UTC))

    @property
    def is_alive(self) -> bool:
        """Whether this process is still running."""
        return is_alive(self.pid, self.born)


class StackState(Data):
    """Content of `stack.json`."""

    ports: dict[PortName, int] = Field(default_factory=PREFERRED_PORTS.copy)
    """Ports of the last start; the stack keeps its addresses across restarts."""
    parts: dict[PartName, Part] = Field(default_factory=dict)
    """Parts of the last start; some may have ended since."""

    def alive(self, name: PartName) -> Part | None:
        """Returns the part if it is running."""
        part = self.parts.get(name)
        return part if part and part.is_alive else None


class StateFile:
    """Reads and writes `stack.json`."""

    def __init__(self, home: Path) -> None:
        self.path = home / "stack.json"

    def read(self) -> StackState:
        """Returns the stored state; an empty state if the file is missing or damaged."""
        state = self._parse()
        return state if state is not None else StackState()

    def set_damaged_aside(self) -> Path | None:
        """Renames a damaged file so that it can be inspected, and returns its new name."""
        if not self.path.exists() or self._parse() is not None:
            return None
        return self.path.replace(self.path.with_suffix(".damaged.json"))

    def write(self, state: StackState) -> None:
        """Replaces the file atomically: readers see either the old or the new one, also after a crash."""
        draft = self.path.with_suffix(f".{os.getpid()}.tmp")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(state.model_dump_json(indent=2))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.path)

    def _parse(self) -> StackState | None:
        try:
            return StackState.model_validate_json(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None


def prepare_home(settings: Settings) -> Path:
    """Creates the state folder and returns its absolute path.

    Raises:
        SettingsError: it cannot be created or written to.
    """
    home = settings.holdfast_home.absolute()
    probe = home / f".writable.{os.getpid()}"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # it contains conversations
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(
            f"HOLDFAST_HOME={home} cannot be used as the state folder: {reason}. Name a folder that you may write to."
        ) from error
    return home
