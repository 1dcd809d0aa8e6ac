"""The rules by which the scripted model plays an assistant: it does what a message says in plain words.

It reads the addresses that a message has, stores what follows "remember:", asks the question that follows "ask:", and
otherwise searches memories and files for the words of the message. Each is done once per message, and the answer quotes
what came back. Its only state is the messages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from holdfast.models import SCRIPTED_MARK
from holdfast.scripted.chat import ChatReply, ChatToolCall
from holdfast.scripted.evidence import needles
from holdfast.scripted.tool_use import ToolUse, quoted

TOOLS = frozenset({"fetch_url", "remember", "search_memory", "search_files", "ask_human"})
"""The tools that the assistant needs."""

MAX_PAGES = 3  # addresses of one message that are read

_URL = re.compile(r"https?://[^\s<>\"'`]+[\w/]")
_REMEMBER = re.compile(r"\bremember(?: that|:)\s+(.+)", re.IGNORECASE)
_ASK = re.compile(r"\bask(?: me| a person)?:\s+(.+)", re.IGNORECASE)
_NOTE = (
    f"This was written by the {SCRIPTED_MARK}: it reads the addresses of a message, remembers and asks what follows "
    "these words, searches for the words of anything else, and draws no conclusions. Configure a model to get an "
    "assistant."
)


@dataclass(frozen=True)
class Assistance:
    """The progress of a message, and the next step."""

    message: str
    uses: Sequence[ToolUse]

    def next_reply(self) -> ChatReply:
        """Returns the calls that the message asks for, or else the answer."""
        if self.uses or not self.calls:
            return ChatReply("\n\n".join([*map(quoted, self.uses), _NOTE]))
        names = " and ".join(dict.fromkeys(call.name for call in self.calls))
        return ChatReply(f"I call {names} ({SCRIPTED_MARK}).", tool_calls=self.calls)

    @cached_property
    def calls(self) -> list[ChatToolCall]:
        """What the message asks for in plain words; a search, if it asks for nothing else."""
        pages = list(dict.fromkeys(_URL.findall(self.message)))[:MAX_PAGES]
        asked = [ChatToolCall("fetch_url", {"url": url}) for url in pages]
        asked += [ChatToolCall("remember", {"text": text.strip()}) for text in _REMEMBER.findall(self.message)]
        asked += [ChatToolCall("ask_human", {"question": text.strip()}) for text in _ASK.findall(self.message)]
        return asked or self._searches()

    def _searches(self) -> list[ChatToolCall]:
        words = needles(self.message)
        if not words:
            return []
        files = [ChatToolCall("search_files", {"query": word, "max_hits": 5}) for word in words]
        return [ChatToolCall("search_memory", {"query": " ".join(words)}), *files]
