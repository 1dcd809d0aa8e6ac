"""Runs that begin with the log or the input of another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from holdfast.attachments import with_lines
from holdfast.budgets import Budget
from holdfast.client.comparison import ComparedRun, RunDiff
from holdfast.client.inputs import RunInput
from holdfast.client.listed_run import ListedRun
from holdfast.client.starter import RunStarter
from holdfast.context import context_of
from holdfast.errors import RunNotFound, UsageError
from holdfast.fork_of import ForkOf
from holdfast.forking import check_prefix, edited_results, point_of
from holdfast.ports import MirrorSource, Store
from holdfast.temporal.prefix import PrefixReader, ReadLog
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import AgentSpec, Entry, ForkedFrom, Message, RunId, RunStatus

SHOWN_CHARS = 2_000  # of the text in Temporal's UI that says what a fork is about
BEGINNING = 2  # seq of the input's entry, after the start and the system prompt
OWN = frozenset({"agent", "input", "parent", "root", "fork", "rerun_of", "expires", "client_version", "carried"})
"""Fields of a request that belong to one run only; the others are options, which a fork and a rerun have too."""


@dataclass(frozen=True)
class ForkEdits:
    """What a fork changes.

    Attributes:
        message: follows what is copied: text, or what else an input may be; `None` adds none.
        model: as in `Holdfast.start`.
        system_prompt: replaces that of the run.
        tool_results: new contents of tool results, by the id of the call, or by turn and id: `3/call_1`.
        max_turns: limits the turns of the fork itself.
        timeout: as in `Holdfast.start`.
        workspace: as in `Holdfast.start`; `None` copies that of the run.
        tags: as in `Holdfast.start`; `None` means those of the run.
        budget: as in `Holdfast.start`; `None` means that of the run.
    """

    message: RunInput | None = None
    model: str | list[str] | tuple[str, ...] | None = None
    system_prompt: str | None = None
    tool_results: Mapping[str, str] | None = None
    max_turns: int | None = None
    timeout: float | None = None
    workspace: str | Path | None = None
    tags: Mapping[str, str] | None = None
    budget: Budget | Mapping[str, Any] | None = None


class Forks:
    """Starts runs from what others have recorded.

    Args:
        log: reads Temporal's history.
        mirror: returns the mirror, for runs that Temporal has deleted; `None` means that there is none.
        starter: starts the runs.
    """

    def __init__(self, log: TemporalRunLog, mirror: MirrorSource | None, starter: RunStarter) -> None:
        self._log = log
        self._mirror = mirror
        self._starter = starter

    async def read(self, run_id: RunId, upto: int | None = None) -> ReadLog:
        """Returns the log of a run; see `PrefixReader.read`."""
        return await PrefixReader(self._log, self._store()).read(run_id, upto)

    async def compare(self, a: RunId, b: RunId) -> RunDiff:
        """Compares two runs; raises what `read` raises, and UsageError if one has recorded nothing."""
        logs = [await self.read(run_id) for run_id in (a, b)]
        sides = []
        for run_id, log in zip((a, b), logs, strict=True):
            if not log.entries:
                raise UsageError(f"run {run_id!r} has recorded nothing yet: there is nothing to compare")
            sides.append(ComparedRun.of(run_id, await self._status(run_id), log.entries))
        return RunDiff.of(sides[0], sides[1], logs[0].entries, logs[1].entries)

    async def _status(self, run_id: RunId) -> RunStatus:
        try:
            return (await ListedRun.of(await self._log.describe(run_id))).status
        except RunNotFound:
            summary = await store.summary(run_id) if (store := self._store()) else None
            return summary.status if summary else RunStatus.TERMINATED

    def _store(self) -> Store | None:
        return self._mirror() if self._mirror else None

    async def fork(self, origin: RunId, at: str | int | None, edits: ForkEdits, run_id: RunId | None = None) -> RunId:
        """Starts a run that begins with the log of another one up to a point, and returns its id.

        Args:
            origin: the run to fork.
            at: see `holdfast.forking.point_of`.
            edits: what to change.
            run_id: the id of the fork; `None` means a new one.

        Raises:
            UsageError: the run has no such point, or the fork could not continue from it.
            RunNotFound: neither Temporal nor the mirror has the run.
            MirrorDamaged: the mirror was altered.
            Unavailable: the run cannot be read now.
        """
        log = await self.read(origin)
        seq = point_of(log.entries, None if at is None else str(at), origin)
        entries = log.entries[: seq + 1]
        has_message, session = edits.message is not None, bool(_options(entries).get("session"))
        check_prefix(entries, has_message=has_message, session=session)
        results = dict(edits.tool_results or {})
        message = await self._starter.taken(edits.message, "message") if has_message else None
        text = message.text if message else ""
        self._starter.check_size("text of a fork", text, edits.system_prompt or "", *results.values())
        edited_results(entries, results)
        spec = _spec(entries, origin)
        if edits.system_prompt is not None:
            spec = _prompted(spec, context_of(entries).active, edits.system_prompt)
        given = {name: getattr(edits, name) for name in ("model", "max_turns", "timeout", "tags", "budget")}
        fields = {
            **_options(entries),
            **{name: value for name, value in given.items() if value is not None},
            "agent": spec,
            "workspace": edits.workspace,
            "input": with_lines(text, message.attachments) if message else _shown(entries),
            "fork": _point(
                origin, log, seq, message=text, attachments=message and message.attachments, tool_results=results
            ),
        }
        return await self._starter.start(fields, run_id)

    async def rerun(self, origin: RunId, *, latest: bool = False, run_id: RunId | None = None) -> RunId:
        """Starts a run with the input, agent and limits of another one, and returns its id; a fork is forked again.

        Args:
            origin: the run.
            latest: use the agent as it is now instead of as it was.
            run_id: the id of the new run; `None` means a new one.

        Raises:
            UsageError: the run has recorded no input yet.
            UnknownAgent: with `latest`, nobody knows the agent any more.
            RunNotFound: neither Temporal nor the mirror has the run.
            MirrorDamaged: the mirror was altered.
            Unavailable: the run cannot be read now.
        """
        log = await self.read(origin, BEGINNING)
        forked = log.entries[0].data.get("forked") if log.entries else None
        if forked:
            log = await self.read(origin)
        spec = _spec(log.entries, origin)
        asked = _asked(log.entries)
        if asked is None:
            raise UsageError(f"run {origin!r} has recorded no input yet: repeat it when it has begun")
        fields: dict[str, Any] = {
            **_options(log.entries),
            "agent": spec.name if latest else spec,
            "input": asked.content,
            "attachments": [each.model_dump(mode="json", exclude_unset=True) for each in asked.attachments] or None,
            "rerun_of": origin,
        }
        if forked:
            seq = _beginning(log.entries, ForkedFrom.model_validate(forked))
            fields |= {"fork": _point(origin, log, seq), "input": _shown(log.entries), "attachments": None}
        return await self._starter.start(fields, run_id)


def _point(origin: RunId, log: ReadLog, seq: int, **edits: Any) -> ForkOf:
    given = {name: value for name, value in edits.items() if value}
    return ForkOf(run=origin, chain=log.chain, seq=seq, digest=log.entries[seq].digest, **given)


def _spec(entries: Sequence[Entry], origin: RunId) -> AgentSpec:
    if not entries:
        raise UsageError(f"run {origin!r} has recorded nothing yet: wait until it has begun")
    try:
        return AgentSpec.model_validate(entries[0].data["agent"], extra="allow")
    except (KeyError, ValidationError) as error:
        raise UsageError(f"run {origin!r} has no agent definition that this version can read: {error}") from None


def _prompted(spec: AgentSpec, active: str | None, prompt: str) -> AgentSpec:
    """Returns the agent of a run with another system prompt for the one that acts at the point."""
    changed = spec.acting(active).model_copy(update={"system_prompt": prompt})
    if active is None or active not in spec.team:
        return changed
    return spec.model_copy(update={"team": spec.team | {active: changed}})


def _options(entries: Sequence[Entry]) -> dict[str, Any]:
    request = entries[0].data.get("request")
    return {name: value for name, value in request.items() if name not in OWN} if isinstance(request, dict) else {}


def _asked(entries: Sequence[Entry]) -> Message | None:
    """Returns the first message of a person; `None` if there is none."""
    messages = (message for entry in entries if (message := entry.message))
    return next((message for message in messages if message.role == "user"), None)


def _shown(entries: Sequence[Entry]) -> str:
    """Returns the input for lists."""
    asked = _asked(entries)
    return "" if asked is None else with_lines(asked.content, asked.attachments).strip()[:SHOWN_CHARS]


def _beginning(entries: Sequence[Entry], forked: ForkedFrom) -> int:
    """Returns the last entry with which a fork began: what it copied, then what it added before its first turn."""
    added = [entry for entry in entries[forked.seq + 1 :] if entry.turn == forked.turn and entry.message]
    return added[-1].seq if added else forked.seq
