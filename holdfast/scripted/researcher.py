"""The rules by which the scripted model answers a question from a folder of files, with the four file tools.

It lists, searches, reads, writes a report and answers: one step per turn, and each step once per question, so that it
always ends after five turns. Its only state is the messages.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from holdfast.models import SCRIPTED_MARK
from holdfast.scripted.chat import ChatReply, ChatToolCall
from holdfast.scripted.evidence import (
    REPORTS,
    WINDOW,
    Finding,
    Hit,
    Window,
    best_places,
    findings,
    needles,
    parse_files,
    parse_hits,
    parse_window,
)
from holdfast.scripted.tool_use import FAILED, ToolUse, shortened

TOOLS = frozenset({"list_files", "search_files", "read_file", "write_file"})
"""The tools that the researcher needs."""

MAX_SLUG = 60  # characters of a report's file name

_NOTE = (
    f"This was written by the {SCRIPTED_MARK}: it searches for the words of the question, "
    "quotes the lines where most of them occur together, and draws no conclusions."
)


@dataclass(frozen=True)
class Research:
    """The progress of the research on a question, and the next step."""

    question: str
    uses: Sequence[ToolUse]
    searched: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "searched", needles(self.question))

    def next_reply(self) -> ChatReply:
        """Returns the reply of the next step that has something to do, or the answer at the end."""
        steps: dict[str, Callable[[], ChatReply | None]] = {
            "list_files": self._list,
            "search_files": self._search,
            "read_file": self._read,
            "write_file": self._write,
        }
        order = list(steps)
        done = max((order.index(use.tool) + 1 for use in self.uses if use.tool in steps), default=0)
        for tool in order[done:]:
            if reply := steps[tool]():
                return reply
        return ChatReply(self._answer())

    def _list(self) -> ChatReply:
        return _calling("First I list the files", [ChatToolCall("list_files", {})])

    def _search(self) -> ChatReply | None:
        calls = [ChatToolCall("search_files", {"query": needle}) for needle in self.searched]
        return _calling(f"I search for {_enumerate(self.searched)}", calls) if calls else None

    def _read(self) -> ChatReply | None:
        calls = [
            ChatToolCall("read_file", {"path": path, "start_line": max(1, line - WINDOW // 2), "max_lines": WINDOW})
            for path, line in best_places(self._hits())
        ]
        return _calling("I read the places where most of these words occur together", calls) if calls else None

    def _write(self) -> ChatReply:
        call = ChatToolCall("write_file", {"path": f"{REPORTS}{slug(self.question)}.md", "content": self._report()})
        return _calling("I write the report", [call])

    def _used(self, tool: str) -> list[ToolUse]:
        return [use for use in self.uses if use.tool == tool and not use.failed]

    def _hits(self) -> list[Hit]:
        searches = self._used("search_files")
        return [hit for use in searches for hit in parse_hits(str(use.arguments.get("query", "")), use.result)]

    def _windows(self) -> list[Window]:
        return [parse_window(str(use.arguments.get("path", "")), use.result) for use in self._used("read_file")]

    def _findings(self) -> list[Finding]:
        return findings(self._windows(), self.searched)

    def _problems(self) -> list[str]:
        """Returns the failed tool calls, each as a list item."""
        failed = [use for use in self.uses if use.failed]
        return [f"- {use.label}: {shortened(use.result.removeprefix(FAILED))}" for use in failed]

    def _report(self) -> str:
        counts = {needle: sum(hit.needle == needle for hit in self._hits()) for needle in self.searched}
        read = [f"- `{window.path}`, lines {_span(window)}" for window in self._windows()]
        sections = [
            (f"# {shortened(self.question) or 'No question'}", [_NOTE]),
            ("## Question", [f"> {line}" for line in self.question.splitlines()] or ["> (none)"]),
            ("## Findings", [finding.citation for finding in self._findings()] or [self._nothing()]),
            ("## Searched", [f"- “{needle}”: {_lines(count)}" for needle, count in counts.items()] or ["- nothing"]),
            ("## Files read", read or ["- none"]),
            ("## What did not work", self._problems() or ["- everything worked"]),
        ]
        return "\n\n".join(f"{heading}\n\n" + "\n".join(lines) for heading, lines in sections) + "\n"

    def _answer(self) -> str:
        found = self._findings()
        opening = f"What the files say about: {shortened(self.question)}" if found else self._nothing()
        problems = self._problems()
        parts = [
            opening,
            "\n".join(finding.citation for finding in found),
            "\n".join(["Some tools reported errors:", *problems]) if problems else "",
            self._where(),
            _NOTE,
        ]
        return "\n\n".join(filter(None, parts))

    def _where(self) -> str:
        """Returns a sentence on where the report is."""
        written = self._used("write_file")
        return f"The report is in {written[-1].arguments.get('path')}." if written else "No report was written."

    def _nothing(self) -> str:
        """Returns a sentence for a question without findings, with what was searched."""
        if not self.searched:
            return "I found nothing: the question has no words that could be searched for."
        listed = self._used("list_files")
        files = [path for use in listed for path in parse_files(use.result) if not path.startswith(REPORTS)]
        among = f" among {len(files)} listed {'file' if len(files) == 1 else 'files'}" if listed else ""
        return f"I found nothing: I searched for {_enumerate(self.searched)}{among}, and have no line to quote."


def slug(text: str) -> str:
    """Returns a file name for a question."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if len(words) > MAX_SLUG:
        words = words[:MAX_SLUG].rpartition("-")[0] or words[:MAX_SLUG]
    return words or f"question-{zlib.crc32(text.encode()):08x}"


def _calling(text: str, calls: list[ChatToolCall]) -> ChatReply:
    return ChatReply(f"{text} ({SCRIPTED_MARK}).", tool_calls=calls)


def _enumerate(words: Sequence[str]) -> str:
    return ", ".join(f"“{word}”" for word in words)


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def _span(window: Window) -> str:
    return f"{min(window.lines)}-{max(window.lines)}" if window.lines else "none"
