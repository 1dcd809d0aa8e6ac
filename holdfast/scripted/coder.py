"""The rules by which the scripted model plays a programmer: it writes and runs what the task quotes.

It looks at the workspace, writes the files that the task has as code blocks, runs the programs and commands that the
task quotes, one per turn, and reports what they printed. It writes no code of its own. Its only state is the messages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from holdfast.models import SCRIPTED_MARK
from holdfast.scripted.chat import ChatReply, ChatToolCall
from holdfast.scripted.tool_use import FAILED, ToolUse, shortened

TOOLS = frozenset({"list_files", "write_file", "run_shell", "run_python"})
"""The tools that the programmer needs."""

MAX_STEPS = 10  # files and commands of one task
MAX_RESULT = 1_500  # characters of a result that the answer quotes

_BLOCK = re.compile(r"^```(\w*)[ \t]*(\S*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_REQUEST = re.compile(r"\b(?:run|execute|call)\b", re.IGNORECASE)
_QUOTED = re.compile(r"`([^`\n]+)`")
_SHELL = frozenset({"sh", "bash", "shell", "console"})
_NOTE = (
    f"This was written by the {SCRIPTED_MARK}: it writes and runs what the task quotes, and neither writes code of its "
    "own nor draws conclusions. Configure a model to get a programmer."
)


@dataclass(frozen=True)
class Coding:
    """The progress of a task, and the next step."""

    task: str
    uses: Sequence[ToolUse]

    def next_reply(self) -> ChatReply:
        """Returns the next step, or the report at the end."""
        if not self.uses:
            return _calling("First I look at what is there", ChatToolCall("list_files", {}))
        done = len(self.uses) - 1
        if done >= len(self.steps):
            return ChatReply(self._report())
        step = self.steps[done]
        return _calling("I write a file" if step.name == "write_file" else "I run what the task quotes", step)

    @cached_property
    def steps(self) -> list[ChatToolCall]:
        """Files to write, then what to run, in the order of the task."""
        blocks = [(match[1].lower(), match[2], match[3]) for match in _BLOCK.finditer(self.task)]
        files = [ChatToolCall("write_file", {"path": name, "content": text}) for _, name, text in blocks if name]
        programs = [_program(language, text) for language, name, text in blocks if not name]
        commands = [ChatToolCall("run_shell", {"command": command}) for command in self._quoted()]
        return [*files, *filter(None, programs), *commands][:MAX_STEPS]

    def _quoted(self) -> list[str]:
        """Returns the commands that a line of the task asks to run."""
        lines = _BLOCK.sub("", self.task).splitlines()
        asked = [found for line in lines if (found := _REQUEST.search(line))]
        return [command for found in asked for command in _QUOTED.findall(found.string, found.end())]

    def _report(self) -> str:
        made = [_outcome(use) for use in self.uses[1:]]
        nothing = (
            f"I was asked: “{shortened(self.task)}”. The task has no code block with the name of a file, and no "
            "command in backticks to run, so I did nothing but list the files."
        )
        return "\n\n".join([*(made or [nothing]), _NOTE])


def _program(language: str, text: str) -> ChatToolCall | None:
    if language == "python":
        return ChatToolCall("run_python", {"code": text})
    return ChatToolCall("run_shell", {"command": text}) if language in _SHELL else None


def _outcome(use: ToolUse) -> str:
    if use.tool == "write_file":
        path = use.arguments.get("path")
        return f"`{path}` was not written: {use.result.removeprefix(FAILED)}" if use.failed else f"I wrote `{path}`."
    script = shortened(str(use.arguments.get("command") or use.arguments.get("code") or ""))
    result = use.result if len(use.result) <= MAX_RESULT else f"{use.result[:MAX_RESULT]}…"
    return f"I ran `{script}`:\n\n{result.strip()}"


def _calling(text: str, call: ChatToolCall) -> ChatReply:
    return ChatReply(f"{text} ({SCRIPTED_MARK}).", tool_calls=[call])
