"""`show`: one run on one page."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.render.outcome import Outcome, is_scripted, model_line
from holdfast.cli.render.output import Output, status_mark
from holdfast.cli.render.text import (
    ago,
    columns,
    count,
    cut,
    duration,
    local_time,
    one_line,
    tokens,
    tool_call,
    wrapped,
)
from holdfast.cli.render.workspace import absolute
from holdfast.cli.session import Session, connected
from holdfast.client.run_handle import RunHandle
from holdfast.errors import HoldfastError, RunNotFound, Unavailable, WaitTimedOut
from holdfast.types import Entry, RunProgress

LAST_ENTRIES = 8
ENDED_PATIENCE = 1.0  # seconds; the result of a run that has ended comes at once

EXAMPLES = """
    $ show researcher-3f9a12bc
    $ show researcher-3f9a12bc --json | jq .tools
"""


@dataclass
class ToolUse:
    """How often a tool was called."""

    calls: int = 0
    errors: int = 0
    seconds: float = 0.0


@dataclass
class Log:
    """What a run's log adds up to."""

    agent_version: int | None = None
    """Which version of a registered agent runs; None: it was not registered."""
    tools: dict[str, ToolUse] = field(default_factory=dict)
    last: deque[Entry] = field(default_factory=lambda: deque(maxlen=LAST_ENTRIES))

    def add(self, entry: Entry) -> None:
        """Takes the next entry."""
        self.last.append(entry)
        if entry.kind == "start":
            self.agent_version = entry.data.get("agent", {}).get("version")
        if entry.kind == "tool_result":
            use = self.tools.setdefault(str(entry.data.get("tool", "?")), ToolUse())
            use.calls += 1
            use.errors += bool(entry.data.get("error"))
            use.seconds += float(entry.data.get("seconds") or 0)


async def show(run_id: RunIdArgument, json: JsonOption = False) -> None:
    """Shows one run: status, usage, tools, last entries.

    Also the files that it wrote, and the address of Temporal's UI on it.
    """
    out = Output(json=json)
    async with connected(out) as session:
        await session.has_worker()
        run = session.run(run_id)
        try:
            progress = await run.status()
        except (RunNotFound, Unavailable):
            raise
        except HoldfastError:
            await _show_unbegun(session, run)
            return
        log = Log()
        async for entry in run.entries():
            log.add(entry)
        ui = session.ui(run_id)
    if json:
        out.document(document(progress, log, ui))
    else:
        show_page(out, progress, log, ui)


async def _show_unbegun(session: Session, run: RunHandle) -> None:
    """A run that was refused has no log to show, only its end."""
    try:
        ended = await run.result(timeout=ENDED_PATIENCE)
    except WaitTimedOut:
        raise HoldfastError(f"run {run.id!r} has not begun: its agent is being prepared") from None
    outcome = Outcome.of(session, ended.run)
    if session.out.json:
        session.out.document(outcome.document())
    else:
        outcome.show_facts(session.out, lead_on=False)


def document(progress: RunProgress, log: Log, ui: str | None) -> dict[str, Any]:
    """The page as plain values."""
    return {
        **progress.model_dump(mode="json"),
        "agent_version": log.agent_version,
        "files": absolute(progress.files, progress.workspace),
        "ui": ui,
        "scripted": is_scripted(progress.model),
        "tools": {name: vars(use) for name, use in log.tools.items()},
        "last_entries": [entry.model_dump(mode="json") for entry in log.last],
    }


def show_page(out: Output, progress: RunProgress, log: Log, ui: str | None) -> None:
    """Writes the page."""
    sign, style = status_mark(progress.status)
    doing = "" if progress.status.is_final else f" · {one_line(progress.doing)}"
    out.say((progress.run_id, "bold"), "  ", (sign, f"bold {style}"), cut(doing, out.width))
    if progress.error:
        out.say((wrapped(progress.error.message, out.width, indent=2), style))
    out.lines(columns(_facts(progress, log, ui, out.width)))
    if log.last:
        out.say()
        out.say((f"last {count(len(log.last), 'entry').replace('entrys', 'entries')}", "dim"))
        for entry in log.last:
            out.say(*_entry_line(entry, out.width))


def _facts(progress: RunProgress, log: Log, ui: str | None, width: int) -> list[tuple[str, str]]:
    room = width - len("  workspace  ")
    version = f", version {log.agent_version}" if log.agent_version else ""
    facts = [("agent", f"{progress.agent}{version}"), *model_line(progress.model)]
    facts.append(("input", cut(one_line(progress.input), room)))
    facts.append(("started", _when(progress)))
    most = f" of at most {progress.max_turns}" if progress.max_turns else ""
    facts.append(("turns", f"{progress.turn}{most}"))
    facts.append(("usage", tokens(progress.usage)))
    facts += _wrapped("tools", tool_lines(log.tools), room)
    facts.append(("mirror", _mirror(progress)))
    if progress.workspace:
        facts.append(("workspace", progress.workspace))
    facts += [("wrote", file) for file in absolute(progress.files, progress.workspace)]
    if ui:
        facts.append(("look", ui))
    return facts


def tool_lines(tools: dict[str, ToolUse]) -> list[str]:
    """Each tool with how often it was called, most often first."""
    ordered = sorted(tools.items(), key=lambda item: (-item[1].calls, item[0]))
    return [f"{name} ×{use.calls}" + (f" ({use.errors} failed)" if use.errors else "") for name, use in ordered]


def _wrapped(name: str, items: Sequence[str], room: int) -> list[tuple[str, str]]:
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(", ") + len(item) <= room:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return [(name if number == 0 else "", line) for number, line in enumerate(lines or ["none called"])]


def _when(progress: RunProgress) -> str:
    now = datetime.now(UTC)
    ended = progress.finished_at
    lasted = duration(((ended or now) - progress.started_at).total_seconds())
    started = f"{ago(progress.started_at, now)} ({local_time(progress.started_at)})"
    return f"{started}, {'took' if ended else 'running for'} {lasted}"


def _mirror(progress: RunProgress) -> str:
    entries = progress.head + 1
    if progress.mirrored >= progress.head:
        return f"complete, {entries:,} of {entries:,} entries"
    return f"{progress.mirrored + 1:,} of {entries:,} entries when the run was last heard of"


def _entry_line(entry: Entry, width: int) -> list[str | tuple[str, str]]:
    what = describe(entry)
    lead = f"{entry.seq:>5}  {entry.at.astimezone():%H:%M:%S}  "
    style = "red" if entry.data.get("error") is True else ""
    return [(lead, "dim"), (cut(what, width - len(lead)), style)]


def describe(entry: Entry) -> str:
    """An entry on one line."""
    message = entry.message
    if entry.kind == "start":
        return f"start of {one_line(str(entry.data.get('agent', {}).get('name', '')))}"
    if entry.kind == "status":
        return f"{entry.data.get('status')}: {one_line(str(entry.data.get('reason') or ''))}".rstrip(": ")
    if message is None:
        return str(entry.data.get("result", {}).get("status", entry.kind))
    if message.role == "tool":
        return f"← {entry.data.get('tool', 'tool')}  {one_line(message.content)}"
    calls = "  ".join(f"→ {tool_call(call)}" for call in message.tool_calls)
    return f"{message.role}: {one_line(message.content)}  {calls}".rstrip().rstrip(":")
