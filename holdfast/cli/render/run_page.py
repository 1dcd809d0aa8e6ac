"""The page of one run: its state, what it used, and the end of its log."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.call_progress import ToolProgress
from holdfast.cli.render.budget import budget_line
from holdfast.cli.render.context_text import context_line
from holdfast.cli.render.facts import absolute, is_scripted, model_facts, place_facts, show_error, tried_models
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_mark, status_words
from holdfast.cli.render.text import ago, cut, duration, local_time, one_line, pairs, reason_after, tokens, tool_call
from holdfast.cli.render.waits import wait_documents, wait_lines
from holdfast.progress import RunProgress
from holdfast.types import Attachment, ChildProgress, Entry, Message, RunStatus

LAST_ENTRIES = 8
IDLE = {RunStatus.WAITING, RunStatus.PAUSED}
"""Statuses in which nothing runs, so that the time limit does not count."""


@dataclass
class ToolUse:
    """How often a tool was called."""

    calls: int = 0
    errors: int = 0
    seconds: float = 0.0


@dataclass
class LogSummary:
    """Totals of the entries of a run's log."""

    agent_version: int | None = None
    """Version of the registered agent; `None` means that the agent is not from the registry."""
    copied: int = 0
    """Number of turns that a fork has copied, whose tool calls are not its own."""
    tools: dict[str, ToolUse] = field(default_factory=dict)
    tried: Counter[str] = field(default_factory=Counter)
    """How often another model answered instead, by the models that were tried and why."""
    attachments: list[Attachment] = field(default_factory=list)
    """Images and files of its messages; their numbers start at 1."""
    last: deque[Entry] = field(default_factory=lambda: deque(maxlen=LAST_ENTRIES))
    idle: timedelta = timedelta()
    """How long the run has waited or was paused, until it ran again."""
    idle_since: datetime | None = None
    """When it began to wait, or was paused; `None` means that it runs, or has ended while it ran."""
    _copied_to: int = -1
    """The last entry that a fork has copied, whose times are those of its origin."""

    def add(self, entry: Entry) -> None:
        """Adds the next entry."""
        self.last.append(entry)
        if entry.kind == "start":
            self.agent_version = entry.data.get("agent", {}).get("version")
            forked = entry.data.get("forked", {})
            self.copied, self._copied_to = forked.get("turn", 0), forked.get("seq", -1)
        if tried := tried_models(entry):
            self.tried[tried] += 1
        self.attachments += entry.message.attachments if entry.message else []
        if entry.kind == "tool_result" and entry.turn > self.copied:
            use = self.tools.setdefault(str(entry.data.get("tool", "?")), ToolUse())
            use.calls += 1
            use.errors += bool(entry.data.get("error"))
            use.seconds += float(entry.data.get("seconds") or 0)
        if entry.kind == "status" and entry.seq > self._copied_to:
            self._add_status(entry)

    def _add_status(self, entry: Entry) -> None:
        self.idle += self._idle_for(entry.at)
        self.idle_since = entry.at if entry.data.get("status") in IDLE else None

    def idle_until(self, moment: datetime) -> timedelta:
        """How long the run has waited or was paused in all until a moment after its last entry."""
        return self.idle + self._idle_for(moment)

    def _idle_for(self, moment: datetime) -> timedelta:
        return moment - self.idle_since if self.idle_since else timedelta()


def document(progress: RunProgress, log: LogSummary, ui: str | None) -> dict[str, Any]:
    """The page as plain values."""
    return {
        **progress.model_dump(mode="json"),
        "waits_for": wait_documents(progress.run_id, progress.waits_for),
        "agent_version": log.agent_version,
        "files": absolute(progress.files, progress.workspace),
        "ui": ui,
        "scripted": is_scripted(progress.model),
        "tried": dict(log.tried),
        "attachments": [each.model_dump(mode="json") for each in log.attachments],
        "tools": {name: vars(use) for name, use in log.tools.items()},
        "last_entries": [entry.model_dump(mode="json") for entry in log.last],
    }


def show_page(out: Output, progress: RunProgress, log: LogSummary, ui: str | None) -> None:
    """Writes the page."""
    sign, style = status_mark(progress.status)
    is_final, words = progress.status.is_final, status_words(progress.status)
    doing = "" if is_final else reason_after(words, one_line(progress.doing), " · ")
    out.say((progress.run_id, "bold"), "  ", (sign, f"bold {style}"), cut(doing, out.width))
    show_error(out, progress.status, progress.error)
    out.lines(pairs(_facts(progress, log, ui, out.width)))
    if log.last:
        out.say()
        out.say(("last entry" if len(log.last) == 1 else f"last {len(log.last)} entries", "dim"))
        for entry in log.last:
            out.say(*_entry_line(entry, out.width))


def _facts(progress: RunProgress, log: LogSummary, ui: str | None, width: int) -> list[tuple[str, str]]:
    room = width - len("  workspace  ")
    limit = f" of at most {progress.max_turns}" if progress.max_turns else ""
    facts = _who(progress, log)
    facts += (
        _wrapped("instead of", [f"{tried} ×{count}" for tried, count in log.tried.items()], room) if log.tried else []
    )
    facts.append(("input", cut(one_line(progress.input), room)))
    if progress.parent:
        facts.append(("asked by", one_line(progress.parent)))
    if progress.forked:
        facts.append(("forked", f"from {one_line(progress.forked.run)}, after turn {progress.forked.turn}"))
    if progress.rerun_of:
        facts.append(("rerun", f"of {one_line(progress.rerun_of)}"))
    for number, line in enumerate(wait_lines(progress.run_id, progress.waits_for, datetime.now(UTC))):
        facts.append(("" if number else "waits for", line))
    facts += _progress(progress, room)
    facts.append(("started", _started(progress, log)))
    facts.append(("turns", f"{progress.turn}{limit}"))
    facts.append(("usage", tokens(progress.usage)))
    if line := budget_line(progress):
        facts.append(("budget", line))
    if progress.tree_usage is not None:
        facts.append(("tree", tokens(progress.tree_usage)))
    facts += [("asked" if not place else "", _child(child)) for place, child in enumerate(progress.children)]
    facts += _wrapped("tools", tool_lines(log.tools), room)
    for number, attachment in enumerate(log.attachments, 1):
        facts.append(("attached" if number == 1 else "", cut(f"{number}  {one_line(attachment.line)}", room)))
    facts.append(("mirror", _mirror(progress)))
    if progress.workspace:
        facts.append(("workspace", one_line(progress.workspace)))
    return [*facts, *place_facts(progress.files, progress.workspace, ui)]


def _who(progress: RunProgress, log: LogSummary) -> list[tuple[str, str]]:
    """The agent, the one that has taken over, and their models."""
    version = f", version {log.agent_version}" if log.agent_version else ""
    facts = [("agent", f"{one_line(progress.agent)}{version}")]
    if progress.active_agent:
        facts.append(("handed to", one_line(progress.active_agent)))
    facts += model_facts(progress.model)
    if progress.next_model:
        facts.append(("next model", one_line(progress.next_model)))
    return facts


def _progress(progress: RunProgress, room: int) -> list[tuple[str, str]]:
    """What the calls in flight report, or else the stage that the run has reached."""
    if progress.progress or progress.stage is None:
        return [("" if place else "progress", cut(_report(made), room)) for place, made in enumerate(progress.progress)]
    done = "" if progress.stage_progress is None else f" · {progress.stage_progress:.0f}%"
    return [("stage", cut(one_line(f"{progress.stage}{done}"), room))]


def _report(made: ToolProgress) -> str:
    return one_line(f"{made} ({made.tool}, turn {made.turn})")


def _child(child: ChildProgress) -> str:
    return f"{one_line(child.run)}  {one_line(child.agent)}  {status_mark(child.status)[0]}"


def tool_lines(tools: dict[str, ToolUse]) -> list[str]:
    """Each tool with its number of calls, most calls first."""
    ordered = sorted(tools.items(), key=lambda item: (-item[1].calls, item[0]))
    return [
        f"{one_line(name)} ×{use.calls}" + (f" ({use.errors} failed)" if use.errors else "") for name, use in ordered
    ]


def _wrapped(name: str, items: Sequence[str], room: int) -> list[tuple[str, str]]:
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(", ") + len(item) <= room:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return [(name if number == 0 else "", line) for number, line in enumerate(lines or ["none called"])]


def _started(progress: RunProgress, log: LogSummary) -> str:
    now = datetime.now(UTC)
    return f"{ago(progress.started_at, now)} ({local_time(progress.started_at)}){lasted(progress, log, now)}"


def lasted(progress: RunProgress, log: LogSummary, now: datetime) -> str:
    """How long the run took, and how much of it something ran; empty if that is not known."""
    lasted = (progress.finished_at or now) - progress.started_at
    idle = log.idle_until(progress.finished_at or now)
    ran = duration((lasted - idle).total_seconds())
    if progress.finished_at:
        return f", took {duration(lasted.total_seconds())}" + (f", of which it ran {ran}" if idle else "")
    if idle:
        return f", has run for {ran}"
    return f", running for {ran}" if progress.status is RunStatus.RUNNING else ""


def _mirror(progress: RunProgress) -> str:
    entries = progress.head + 1
    if progress.mirrored >= progress.head:
        return f"complete, {entries:,} of {entries:,} entries"
    known = f"{progress.mirrored + 1:,} of {entries:,} entries"
    if progress.status.is_final:  # the rest is written afterwards, which the run does not learn
        return f"{known} when the run ended; see `doctor verify`"
    return f"{known}, as far as the run knows"


def _entry_line(entry: Entry, width: int) -> list[str | tuple[str, str]]:
    lead = f"{entry.seq:>5}  {entry.at.astimezone():%H:%M:%S}  "
    style = "red" if entry.data.get("error") is True else ""
    return [(lead, "dim"), (cut(describe(entry), width - len(lead)), style)]


def describe(entry: Entry) -> str:
    """An entry on one line."""
    message = entry.message
    if entry.kind == "start":
        return f"start of {one_line(str(entry.data.get('agent', {}).get('name', '')))}"
    if entry.kind == "status":
        words = str(entry.data.get("status"))
        return words + reason_after(words, one_line(str(entry.data.get("reason") or "")))
    if entry.kind == "command":
        who = f" ({one_line(str(by))})" if (by := entry.data.get("by")) else ""
        return f"command {one_line(str(entry.data.get('command')))}{who}"
    if line := context_line(entry):
        return line
    if message is None:
        return str(entry.data.get("result", {}).get("status", entry.kind))
    note = f" (after {tried})" if (tried := tried_models(entry)) else ""
    if entry.data.get("cached"):
        note += " (cached)"
    return message_line(message, str(entry.data.get("tool", "tool")), note=note)


def message_line(message: Message, tool: str = "", *, note: str = "") -> str:
    """A message on one line.

    Args:
        message: the message.
        tool: the tool whose result it is.
        note: added to the role of one that is not a result.
    """
    if message.role == "tool":
        return f"← {one_line(tool)}  {one_line(message.shown)}" if tool else f"← {one_line(message.shown)}"
    calls = "  ".join(f"→ {tool_call(call)}" for call in message.tool_calls)
    return f"{message.role}{note}: {one_line(message.shown)}  {calls}".rstrip().rstrip(":")
