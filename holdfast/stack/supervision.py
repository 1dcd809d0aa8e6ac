"""Supervision of the stack as commands see it: start of the supervisor, and what it reports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from holdfast.settings import Settings
from holdfast.stack import process
from holdfast.stack import worker as workers
from holdfast.stack.part_locks import TITLES, PartLock, PartName
from holdfast.stack.state import Part, StackState, log_path
from holdfast.stack.supervisor import FILE
from holdfast.types import Data


class Restarts(Data):
    """What the supervisor has done about one part."""

    restarts: int
    """Since the supervisor started."""
    ends: int
    """How often the part has ended without having recovered in between."""
    since: AwareDatetime | None
    """When the first of these was."""
    next_start: AwareDatetime | None
    """When the part is started again; `None` if it is running."""

    def trouble(self, name: PartName, log: Path | None, now: datetime) -> str | None:
        """Returns in words that a part keeps ending; `None` if it does not."""
        if self.ends < 2 or self.since is None:
            return None
        times = f"the {TITLES[name]} has ended {self.ends} times in {(now - self.since).total_seconds():.0f} s"
        wait = (self.next_start - now).total_seconds() if self.next_start else 0.0
        plan = f"; it is started again in {max(wait, 0):.0f} s" if self.next_start else ""
        return f"{times}{plan}" + (f"; its log: {log}" if log else "")


_REPORT = TypeAdapter(dict[PartName, Restarts])


class Supervision:
    """The supervisor of one state folder, and its report.

    Args:
        home: the state folder.
        state: the content of `stack.json`.
    """

    def __init__(self, home: Path, state: StackState) -> None:
        self._home, self._state = home, state

    @property
    def is_active(self) -> bool:
        """Whether ended parts are started again."""
        return self._state.alive("supervisor") is not None

    def report(self) -> dict[PartName, Restarts]:
        """Returns what the running supervisor reports of the parts; empty without one."""
        if not self.is_active:
            return {}
        try:
            return _REPORT.validate_json((self._home / FILE).read_bytes())
        except (OSError, ValidationError):
            return {}

    def is_awaited(self, name: PartName) -> bool:
        """Returns whether a part has ended and is started again within a moment."""
        part = self._state.parts.get(name)
        if part is None or not part.wanted or part.is_alive or not self.is_active:
            return False
        found = self.report().get(name)
        return found is None or found.ends < 2

    def trouble(self, name: PartName) -> str | None:
        """Returns in words that a part keeps ending; `None` if it does not."""
        found, part = self.report().get(name), self._state.parts.get(name)
        return found.trouble(name, part.log if part else None, datetime.now(UTC)) if found else None

    def is_current(self, supervisor: Part) -> bool:
        """Returns whether a supervisor can start the worker that is wanted now."""
        worker = self._state.parts.get("worker")
        if worker is None or not worker.wanted:
            return True
        return (supervisor.fingerprint, supervisor.folder) == (worker.fingerprint, worker.folder)

    def environment(self, settings: Settings) -> dict[str, str] | None:
        """Returns the environment with which the worker can be started again; `None` if it is not known.

        It has secrets, so it is kept by processes only and never written to a file.
        """
        worker = self._state.alive("worker")
        if worker is None:
            return dict(os.environ)
        known = process.environment_of(worker.pid)
        if known:
            return known
        address, model = self._addresses(settings)
        wanted = workers.fingerprint(settings, worker.command, address, model)
        return workers.environment(settings, address, model) if wanted == worker.fingerprint else None

    def spawn(self, variables: Mapping[str, str], lock: PartLock) -> Part:
        """Starts the supervisor in the background."""
        worker, log = self._state.parts.get("worker"), log_path(self._home, "supervisor")
        folder = worker.folder if worker else None
        command = process.module_command("holdfast.stack.supervisor", str(self._home))
        pid = process.spawn(command, log, {**variables, **lock.variables}, folder=self._home, keep=[lock.descriptor])
        fingerprint = worker.fingerprint if worker else None
        part = Part.started("supervisor", pid, log, command=command, folder=folder, fingerprint=fingerprint)
        lock.record(part.model_dump(mode="json"))
        return part

    def _addresses(self, settings: Settings) -> tuple[str, str | None]:
        temporal, model = self._state.parts.get("temporal"), self._state.parts.get("model")
        address = settings.temporal_address or (temporal.address if temporal else None) or ""
        scripted = f"http://{model.address}/v1" if model and not settings.has_model else None
        return address, scripted
