"""The rules by which the scripted model plays a front-end developer: a plain page that says what was asked for.

It plans, writes three components, builds and deploys, in one turn each. The title and the requirements are the words of
the task; the page says that a script has written it. Its only state is the messages.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from holdfast.models import SCRIPTED_MARK
from holdfast.scripted.chat import ChatReply, ChatToolCall
from holdfast.scripted.tool_use import FAILED, ToolUse

TOOLS = frozenset({"plan_page", "write_component", "build_page", "deploy_page"})
"""The tools that the developer needs."""

MAX_TITLE, MAX_REQUIREMENTS, MAX_REQUIREMENT = 80, 10, 300  # characters, sentences, characters
_ABOUT = re.compile(r"\b(?:web ?)?(?:page|site|website) (?:for|about|of) (?:an? |the |our |my )?(.+)", re.IGNORECASE)
_STYLES = """\
body { margin: 0 auto; max-width: 45rem; padding: 1rem; font: 1.1rem/1.6 system-ui, sans-serif; color: #1b2733; }
header { border-bottom: 3px solid #b9813a; }
footer { margin-top: 3rem; font-size: .9rem; color: #4a5763; }"""
_NOTE = (
    f"This page was made by the {SCRIPTED_MARK}: it repeats what the task says, and designs nothing. Configure a model "
    "to get a front-end developer."
)


@dataclass(frozen=True)
class Development:
    """The progress of a page, and the next step."""

    task: str
    uses: Sequence[ToolUse]

    def next_reply(self) -> ChatReply:
        """Returns the next step, or the report at the end."""
        if not self.sentences:
            return ChatReply(f"I was asked for nothing, so I made no page. {_NOTE}")
        if (failed := next((use for use in self.uses if use.failed), None)) is not None:
            return ChatReply(f"There is no page: {failed.tool} failed: {failed.result.removeprefix(FAILED)}\n\n{_NOTE}")
        done = {use.tool for use in self.uses}
        calls = next((step for step in self._steps() if step[0].name not in done), None)
        if calls is not None:
            verb = calls[0].name.partition("_")[0]
            return ChatReply(f"I {verb} the page “{self.title}” ({SCRIPTED_MARK}).", tool_calls=calls)
        deployed = next(use.result for use in self.uses if use.tool == "deploy_page")
        return ChatReply(f"{deployed.removeprefix('deployed: ')}\n\nThe page is “{self.title}”. {_NOTE}")

    def _steps(self) -> list[list[ChatToolCall]]:
        """The calls of each turn."""
        plan = {"title": self.title, "requirements": self.sentences}
        build = {"components": ["header", "offer", "footer"], "styles": _STYLES}
        return [
            [ChatToolCall("plan_page", plan)],
            self._components(),
            [ChatToolCall("build_page", build)],
            [ChatToolCall("deploy_page", {})],
        ]

    @cached_property
    def sentences(self) -> list[str]:
        """What the task says."""
        found = re.split(r"(?<=[.!?])\s+|\n+", self.task.strip())
        return [sentence.strip()[:MAX_REQUIREMENT] for sentence in found if sentence.strip()][:MAX_REQUIREMENTS]

    @cached_property
    def title(self) -> str:
        """What the page is about, in the words of the task."""
        about = _ABOUT.search(self.sentences[0])
        words = (about[1] if about else self.sentences[0]).strip(" .!?")
        return f"{words[:1].upper()}{words[1:]}"[:MAX_TITLE].strip() or "Page"

    def _components(self) -> list[ChatToolCall]:
        wanted = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.sentences)
        markup = {
            "header": f"<header><h1>{html.escape(self.title)}</h1></header>",
            "offer": f"<main><h2>What was asked for</h2><ul>{wanted}</ul></main>",
            "footer": f"<footer><p>{html.escape(_NOTE)}</p></footer>",
        }
        return [ChatToolCall("write_component", {"name": name, "markup": text}) for name, text in markup.items()]
