"""The events of a run, shown to a person as they happen."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from holdfast._util.terminal import clean
from holdfast.call_progress import ToolProgress
from holdfast.cli.render.context_text import context_line
from holdfast.cli.render.facts import tried_models
from holdfast.cli.render.live_text import LiveText
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import STATUS_STYLES, status_words
from holdfast.cli.render.text import cut, duration, head, one_line, reason_after, tool_call
from holdfast.cli.render.waiting import Waiting
from holdfast.cli.render.waits import wait_lines
from holdfast.events import Event, Notice, TextDelta
from holdfast.types import Entry, ForkedFrom, Message, RunId, RunStatus, ToolCall

RESULT_LINES = 3  # of a tool's result that are shown
INPUT_LINES = 6  # of the question


class Narrator:
    """Shows turns, streaming text, tool calls with their arguments, short results, and notices."""

    def __init__(self, out: Output, *, run_id: RunId = "ID", notices_only: bool = False) -> None:
        """
        Args:
            out: receives the text.
            run_id: the run, for commands that end what it waits for.
            notices_only: whether to show only the reasons for which nothing happens.
        """
        self._out = out
        self._run_id = run_id
        self._notices_only = notices_only
        self._turn = 0
        self._attempt = 0
        self._heard = ""  # text of this attempt that was streamed
        self._text = LiveText(lambda text: out.say(text, end=""), width=out.width, indent=2)
        self._calls: dict[str, ToolCall] = {}
        self._stages: dict[str, str] = {}  # the stage that was shown last, by call
        self._waiting = Waiting()
        self.is_held = False
        """Whether a person is typing, so that nothing is shown of how long the run has been waiting."""
        self._copied: ForkedFrom | None = None
        """What the entries to come are a copy of."""

    def show(self, event: Event) -> None:
        """Shows one event."""
        self._waiting.hear(event)
        if isinstance(event, Notice):
            self._text.end()
            self._out.warn(event.text)
            for line in wait_lines(self._run_id, event.waits_for, datetime.now(UTC)):
                self._out.note(f"  {line}")
        elif self._notices_only:
            return
        elif isinstance(event, TextDelta):
            self._begin_turn(event.turn)
            self._begin_attempt(event.attempt)
            self._hear(event.text)
        elif isinstance(event, ToolProgress):
            self._show_progress(event)
        else:
            self._show_entry(event)

    def show_waiting(self) -> None:
        """Shows on a terminal what the run has been waiting for, and for how long; call it every second."""
        if not self._text.is_within_line and not self.is_held:
            self._out.status(self._waiting.line(datetime.now(UTC)))

    def end(self) -> None:
        """Ends a line that has begun."""
        self._out.status(None)
        self._text.end()

    def _show_progress(self, report: ToolProgress) -> None:
        """Shows that a tool has entered a stage, once; how far it is in between is shown while one waits."""
        if report.stage and self._stages.get(report.call) != report.stage:
            self._stages[report.call] = report.stage
            self._text.end()
            line = cut(one_line(f"{report.tool}: {report}"), self._out.width - 4)
            self._out.say(("  · ", "cyan"), (line, "dim"))

    def _show_entry(self, entry: Entry) -> None:
        self._show_fork(entry)
        message = entry.message
        if entry.kind == "status":
            self._show_status(RunStatus(entry.data["status"]), str(entry.data.get("reason") or ""))
        elif entry.kind == "stage":
            self._show_progress(ToolProgress.model_validate(entry.data))
        elif entry.kind != "wait" and (line := context_line(entry)):  # the status says what is waited for
            self._text.end()
            self._out.say((cut(line, self._out.width), "dim"))
        elif message is None:
            return
        elif message.role == "user":
            self._show_input(message)
        elif message.role == "assistant":
            self._show_reply(entry, message)
        elif message.role == "tool":
            self._show_result(entry, message)

    def _show_fork(self, entry: Entry) -> None:
        """Shows which entries a fork has copied."""
        if entry.kind == "start" and "forked" in entry.data:
            self._copied = ForkedFrom.model_validate(entry.data["forked"])
            self._out.say((f"copied from {one_line(self._copied.run)}:", "dim"))
        elif self._copied and entry.seq > self._copied.seq:
            self._text.end()
            self._out.say((f"the fork of {one_line(self._copied.run)} begins here", "dim"))
            self._copied = None

    def _begin_turn(self, turn: int) -> None:
        if turn != self._turn:
            self._text.end()
            self._turn, self._attempt, self._heard = turn, 0, ""
            self._out.say((f"turn {turn}", "bold"))

    def _begin_attempt(self, attempt: int) -> None:
        if attempt > self._attempt:
            self._text.end()
            if self._heard:
                self._out.say(("  (the text above was discarded; this is a new answer)", "dim"))
            self._attempt, self._heard = attempt, ""

    def _hear(self, text: str) -> None:
        self._heard += text
        self._text.feed(clean(text))

    def _show_status(self, status: RunStatus, reason: str) -> None:
        self._text.end()
        words = status_words(status)
        self._out.say((words, STATUS_STYLES[status]), reason_after(words, one_line(reason)))

    def _show_input(self, message: Message) -> None:
        lines, more = head(message.shown, INPUT_LINES)
        for number, line in enumerate(lines):
            self._out.say(("> " if number == 0 else "  ", "dim"), cut(line, self._out.width - 2))
        self._say_more(more, indent=2)

    def _show_reply(self, entry: Entry, message: Message) -> None:
        self._begin_turn(entry.turn)
        if message.content.startswith(self._heard):
            self._hear(message.content[len(self._heard) :])
        else:
            self._text.end()
            self._out.say(("  (the model was called again; this is its new answer)", "dim"))
            self._hear(message.content)
        self._text.end()
        if tried := tried_models(entry):
            self._out.say((f"  (answered by {one_line(str(entry.data.get('model')))}; {tried})", "dim"))
        if entry.data.get("cached"):
            self._out.say(("  (from the cache, MODEL_RESPONSE_CACHE)", "dim"))
        if message.partial:
            self._out.say(("  (incomplete)", "dim"))
        self._calls.clear()
        self._stages.clear()
        for call in message.tool_calls:
            self._calls[call.id] = call
            self._out.say(("  → ", "cyan"), cut(tool_call(call), self._out.width - 4))

    def _show_result(self, entry: Entry, message: Message) -> None:
        self._text.end()
        failed = bool(entry.data.get("error"))
        name = self._named(entry, message)
        seconds = float(entry.data.get("seconds") or math.nan)
        took = "" if math.isnan(seconds) else f" {duration(seconds)}"
        lines, more = head(message.shown, RESULT_LINES)
        mark, style = ("  ✗ ", "red") if failed else ("  ← ", "green")
        beside = self._out.width - len(f"{mark}{name}{took}  ")
        if len(lines) == 1 and len(lines[0]) <= beside:
            self._out.say((mark, style), name, (f"{took}  ", "dim"), (lines[0], "red" if failed else "dim"))
            return
        self._out.say((mark, style), name, (took, "dim"))
        for line in lines:
            self._out.say("      ", (cut(line, self._out.width - 6), "red" if failed else "dim"))
        self._say_more(more, indent=6)

    def _named(self, entry: Entry, message: Message) -> str:
        """The tool, with its arguments if the turn called several, as results arrive in any order."""
        call = self._calls.get(message.tool_call_id or "")
        if call and len(self._calls) > 1:
            return cut(tool_call(call), self._out.width - len("  ←  0.00 s"))
        return one_line(str(entry.data.get("tool", "tool")))

    def _say_more(self, lines: int, *, indent: int) -> None:
        if lines:
            self._out.say((f"{'':{indent}}… {lines} more line{'' if lines == 1 else 's'}", "dim"))
