"""The rules by which the scripted model uses tools that it does not know.

It calls the tools whose names, descriptions and parameters share most words with the question, each once, and quotes
what they return. A tool that may change something is called only if it is requested by the words of its name, and by a
sentence that is not a question: to ask about an order is not to place one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from holdfast.models import SCRIPTED_MARK
from holdfast.names import MCP_SEPARATOR
from holdfast.scripted.chat import ChatReply, ChatToolCall
from holdfast.scripted.evidence import STOP_WORDS
from holdfast.scripted.guesses import guess_calls, stems
from holdfast.scripted.tool_use import ToolUse, quoted, shortened

MAX_TOOLS = 3  # that are called for one question
NAME_WEIGHT, DESCRIPTION_WEIGHT = 3, 1  # per word that a tool shares with the question

_QUESTION_TEXT = """
    are can could did do does has have how is should was were what when where which who whom whose why would
"""
_QUESTION_WORDS = frozenset(_QUESTION_TEXT.split())
_NOTE = (
    f"This was written by the {SCRIPTED_MARK}: it calls the tools that share most words with the question, "
    "quotes their results, and draws no conclusions. Configure a model to get real answers."
)


@dataclass(frozen=True)
class OfferedTool:
    """A tool that the request offers."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    read_only: bool
    """Whether it is known to change nothing."""

    @cached_property
    def named(self) -> frozenset[str]:
        """Stems of its name, without that of its MCP server."""
        return stems(self.name.rpartition(MCP_SEPARATOR)[2])

    @cached_property
    def described(self) -> frozenset[str]:
        """Stems of its description and of its parameters' names, without common words."""
        properties = self.parameters.get("properties")
        names = " ".join(map(str, properties)) if isinstance(properties, Mapping) else ""
        return stems(f"{self.description} {names}") - STOP_WORDS

    def fits(self, text: str) -> int:
        """Returns how well it fits a question or a request; 0 means that it must not be called."""
        asked = stems(text)
        if not self.read_only and (_is_question(text) or not self.named or not self.named <= asked):
            return 0
        return NAME_WEIGHT * len(self.named & asked) + DESCRIPTION_WEIGHT * len(self.described & asked)


@dataclass(frozen=True)
class Toolbox:
    """The tools, what they have returned for a question, and the next step."""

    question: str
    tools: Sequence[OfferedTool]
    uses: Sequence[ToolUse]

    def next_reply(self) -> ChatReply:
        """Returns calls of tools that fit and have not been called, or else the answer."""
        done = {use.tool for use in self.uses}
        waiting = [tool for tool in self.chosen() if tool.name not in done]
        if not waiting:
            return ChatReply(self._answer() if self.uses else self._apology())
        # What only reads is called together; what changes something is called alone, after that.
        together = [tool for tool in waiting if tool.read_only] or waiting[:1]
        names = " and ".join(tool.name for tool in together)
        calls = [ChatToolCall(tool.name, arguments) for tool in together for arguments in self._arguments(tool)]
        return ChatReply(f"I call {names} ({SCRIPTED_MARK}).", tool_calls=calls)

    def chosen(self) -> list[OfferedTool]:
        """Returns the tools that fit, best first; a single tool that only reads always does."""
        worth = {tool.name: tool.fits(self.question) for tool in self.tools}
        best = max(worth.values(), default=0)
        fitting = [tool for tool in self.tools if worth[tool.name] and 2 * worth[tool.name] >= best]
        fitting.sort(key=lambda tool: (not tool.read_only, -worth[tool.name]))
        readers = [tool for tool in self.tools if tool.read_only]
        if not fitting and len(readers) == 1 and self.question:
            return readers
        return fitting[:MAX_TOOLS]

    def _arguments(self, tool: OfferedTool) -> list[dict[str, Any]]:
        named = frozenset[str]().union(*(chosen.named for chosen in self.chosen()))
        return guess_calls(
            self.question, tool.parameters, named=named, described=tool.described, several=tool.read_only
        )

    def _answer(self) -> str:
        return "\n\n".join([*map(quoted, self.uses), _NOTE])

    def _apology(self) -> str:
        asked = f"I was asked: “{shortened(self.question)}”." if self.question else "I was asked nothing."
        offered = ", ".join(tool.name for tool in self.tools)
        tools = f" I was offered the tools {offered}; none of them fits the question by its words." if offered else ""
        return (
            f"{asked} I am a {SCRIPTED_MARK}, so I cannot answer that.{tools} I can only call tools that a question "
            "names, and search a folder for its words. Configure a model to get real answers."
        )


def _is_question(text: str) -> bool:
    first = text.split(maxsplit=1)[:1]
    return "?" in text or (bool(first) and first[0].lower() in _QUESTION_WORDS)
