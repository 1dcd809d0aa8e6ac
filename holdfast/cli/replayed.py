"""Histories that `replay` checks, and what it finds."""

from __future__ import annotations

import enum
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli.session import connected
from holdfast.errors import HoldfastError, RunNotFound, TemporalUnavailable, UsageError
from holdfast.types import RunId

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory

    from holdfast.cli.render.output import Output
    from holdfast.temporal.replay.difference import Difference
    from holdfast.temporal.replay.histories import ExecutionRef, HistoryReader
    from holdfast.temporal.replay.replayer import HistoryReplayer


class Verdict(enum.StrEnum):
    """What a replay of a history has shown."""

    REPLAYS = "replays"
    DIFFERS = "differs"
    UNCHECKED = "unchecked"
    DELETED = "deleted"
    """Temporal has deleted it, so no worker will replay it either."""


@dataclass(frozen=True)
class Replayed:
    """A history that was checked."""

    run_id: RunId
    execution: str | None
    """Temporal's id of the execution; `None` means that the history is from a file."""
    file: str | None
    verdict: Verdict
    events: int = 0
    difference: Difference | None = None
    note: str = ""
    """Why it was not checked."""

    @property
    def place(self) -> str:
        """Its name for people."""
        return self.file or f"{self.run_id}, execution {self.execution},"

    @property
    def document(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "run_id": self.run_id,
            "execution": self.execution,
            "file": self.file,
            "verdict": self.verdict.value,
            "events": self.events,
            "difference": self.difference.model_dump(mode="json") if self.difference else None,
            "note": self.note,
        }


@dataclass(frozen=True)
class Named:
    """What the arguments name."""

    files: list[Path]
    run_ids: list[RunId]
    open: bool

    @classmethod
    def of(cls, names: list[str], *, open: bool) -> Named:  # noqa: A002 - the option's name
        """Tells files from ids.

        Raises:
            UsageError: nothing is named, or a file does not exist.
        """
        if bool(names) == open:
            raise UsageError("name runs or files with histories, or use --open")
        files = [Path(name) for name in names if _is_file(name)]
        return cls(files, [name for name in names if not _is_file(name)], open)

    @property
    def needs_server(self) -> bool:
        """Whether some of them are read from Temporal."""
        return self.open or bool(self.run_ids)


CHILD = re.compile(r"/\d+\.\d+(-\d+)?$")
"""How the id of a child run ends."""


def _is_file(name: str) -> bool:
    from holdfast.temporal.replay.histories import SUFFIXES  # noqa: PLC0415 - `--help` needs no SDK

    path = Path(name)
    if path.is_file():
        return True
    if ("/" in name and not CHILD.search(name)) or name.endswith(SUFFIXES):
        raise UsageError(f"{name!r} {'is not a file' if path.exists() else 'does not exist'}")
    return False


@dataclass(frozen=True)
class Check:
    """Replays what the arguments name.

    Attributes:
        replayer: has the workflow code.
        reader: reads histories from Temporal; `None` means that only files are named.
        task_queue: the queue whose open runs are replayed.
    """

    replayer: HistoryReplayer
    reader: HistoryReader | None
    task_queue: str

    async def sources(self, named: Named) -> AsyncIterator[Path | ExecutionRef]:
        """Yields the histories that are named: of a run, those of all its executions.

        Raises:
            RunNotFound: no run has an id that is named.
        """
        for path in named.files:
            yield path
        if self.reader is None:
            return
        for run_id in named.run_ids:
            async for ref in self.reader.executions_of(run_id):
                yield ref
        if named.open:
            async for ref in self.reader.open_executions(self.task_queue):
                yield ref

    async def replay(self, source: Path | ExecutionRef) -> Replayed:
        """Reads and replays one history.

        Raises:
            UsageError: a file has no history.
            TemporalUnavailable: the server is unavailable.
        """
        from holdfast.temporal.replay.histories import history_in  # noqa: PLC0415 - see _is_file

        if isinstance(source, Path):
            history = history_in(source)
            return await self._replayed(history, file=str(source))
        assert self.reader is not None, "an execution was found by it"
        try:
            found = await self.reader.read(source)
        except (RunNotFound, TemporalUnavailable):
            raise
        except HoldfastError as error:
            return Replayed(source.run_id, source.execution, None, Verdict.UNCHECKED, note=str(error))
        if found is None:
            return Replayed(source.run_id, source.execution, None, Verdict.DELETED)
        return await self._replayed(found, execution=source.execution)

    async def _replayed(
        self, history: WorkflowHistory, *, execution: str | None = None, file: str | None = None
    ) -> Replayed:
        run_id, events = history.workflow_id, len(history.events)
        try:
            difference = await self.replayer.replay(history)
        except HoldfastError as error:
            return Replayed(run_id, execution, file, Verdict.UNCHECKED, events, note=str(error))
        verdict = Verdict.DIFFERS if difference else Verdict.REPLAYS
        return Replayed(run_id, execution, file, verdict, events, difference)


@asynccontextmanager
async def opened_check(out: Output, *, needs_server: bool) -> AsyncIterator[Check]:
    """Prepares replays with the settings of the worker; connects to Temporal only if histories are read from it.

    Raises:
        SettingsError: a setting has a bad value.
        Unavailable: Temporal is unavailable.
    """
    from holdfast.composition.converter import client_converter  # noqa: PLC0415 - see _is_file
    from holdfast.composition.reachable import reachable_storage  # noqa: PLC0415
    from holdfast.composition.replay import history_replayer  # noqa: PLC0415
    from holdfast.settings import Settings  # noqa: PLC0415
    from holdfast.temporal.replay.histories import HistoryReader  # noqa: PLC0415

    if needs_server:
        async with connected(out) as session:
            client = session.client
            replayer = history_replayer(client.data_converter)
            yield Check(replayer, HistoryReader(client), session.settings.temporal_task_queue)
        return
    settings = Settings.load()
    async with reachable_storage(settings) as storage:
        yield Check(history_replayer(client_converter(settings, storage)), None, settings.temporal_task_queue)
