"""State of the stack between commands: `stack.json` in the state folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import AwareDatetime, Field, ValidationError

from holdfast._util.private_files import write_private
from holdfast.stack.part_locks import PartName, holder, last_holder
from holdfast.stack.process import birth, is_alive
from holdfast.stack.server_health import UI_PORT_FLAG
from holdfast.types import Data

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
    """For the worker: hashes of the settings that it was started with; empty if they are not known."""
    command: list[str] = Field(default_factory=list)
    """Program and arguments, with which the supervisor starts it again."""
    folder: Path | None = None
    """Its working directory."""
    wanted: bool = True
    """Whether it is supposed to run; the supervisor starts it again then."""

    @classmethod
    def started(
        cls,
        name: PartName,
        pid: int,
        log: Path,
        *,
        command: Sequence[str] = (),
        folder: Path | None = None,
        address: str | None = None,
        version: str | None = None,
        fingerprint: Mapping[str, str] | None = None,
    ) -> Part:
        """Describes a process that has just been started."""
        return cls(
            name=name, pid=pid, born=birth(pid) or "", log=log, command=list(command), folder=folder, address=address,
            version=version, since=datetime.now(UTC), fingerprint=dict(fingerprint or {}),
        )  # fmt: skip

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
        self._home = home
        self.path = home / "stack.json"

    def read(self) -> StackState:
        """Returns the state. Parts that the file does not have are found by their claims, with their addresses."""
        state = self._parse() or StackState()
        for name in get_args(PartName):
            if (
                state.alive(name) is None
                and (found := self._claimed(name, is_lost=name not in state.parts)) is not None
            ):
                state.parts[name] = found
                state.ports.update(_ports_of(found))
        return state

    def set_damaged_aside(self) -> Path | None:
        """Renames a damaged file so that it can be inspected, and returns its new name."""
        if not self.path.exists() or self._parse() is not None:
            return None
        return self.path.replace(self.path.with_suffix(".damaged.json"))

    def write(self, state: StackState) -> None:
        """Replaces the file atomically: readers see either the old or the new one, also after a crash."""
        write_private(self.path, state.model_dump_json(indent=2))

    def _parse(self) -> StackState | None:
        try:
            return StackState.model_validate_json(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def _claimed(self, name: PartName, *, is_lost: bool) -> Part | None:
        found = holder(self._home, name) or (last_holder(self._home, name) if is_lost else None)
        if found is None:
            return None
        return _described(self._home, name, found)


def _described(home: Path, name: PartName, found: dict[str, Any]) -> Part:
    try:
        return Part.model_validate(found)
    except ValidationError:  # its start was interrupted before it was recorded, or another version recorded it
        return Part.started(name, found["pid"], log_path(home, name)).model_copy(update={"born": found["born"]})


def _ports_of(part: Part) -> dict[PortName, int]:
    ports: dict[PortName, int] = {}
    if part.address and part.name in ("temporal", "model"):
        ports[part.name] = int(part.address.rpartition(":")[2])
    if UI_PORT_FLAG in part.command:
        ports["ui"] = int(part.command[part.command.index(UI_PORT_FLAG) + 1])
    return ports


def log_path(home: Path, name: PartName) -> Path:
    """Returns the log of a part."""
    return home / "logs" / f"{name}.log"
