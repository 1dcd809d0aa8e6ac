"""The rules by which the scripted model plays a person: it says the fact that fits best, each once.

The facts are the lines with a dash behind the heading of the system prompt, or else those of the first message. It
makes no sentence of its own but the last one. Its only state is the messages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.models import SCRIPTED_MARK
from holdfast.scripted.chat import ChatReply
from holdfast.scripted.evidence import STOP_WORDS
from holdfast.scripted.guesses import stems

HEADING = "# What is true of you"
"""The line of a system prompt by which it is known that a person is to be played."""
_FACT = re.compile(r"^-[ \t]+(\S.*)$", re.MULTILINE)
_NOTE = f"({SCRIPTED_MARK}, which only repeats facts)"


@dataclass(frozen=True)
class Person:
    """A conversation with a person, and what they say next.

    Args:
        prompt: the system prompt.
        heard: what was said to the person, oldest first.
        told: what the person has said.
    """

    prompt: str
    heard: Sequence[str]
    told: Sequence[str]

    def next_reply(self) -> ChatReply:
        """Returns what the person says."""
        facts = self.facts
        if not facts:
            return ChatReply(f"Whom shall I play? Tell me facts, one per line with a dash before it. {_NOTE}")
        left = [fact for fact in facts if not any(fact in reply for reply in self.told)]
        if not left:
            return ChatReply(f"I have nothing more to say. {_NOTE}")
        asked = stems(_FACT.sub("", self.heard[-1]) if self.heard else "") - STOP_WORDS
        best = max(left, key=lambda fact: len(asked & stems(fact)))  # the first of several that fit equally well
        return ChatReply(f"{best} {_NOTE}")

    @property
    def facts(self) -> list[str]:
        """The facts."""
        given = _FACT.findall(self.prompt.rpartition(HEADING)[2])
        return given or (_FACT.findall(self.heard[0]) if self.heard else [])


def plays_person(prompt: str) -> bool:
    """Whether a system prompt asks to play a person."""
    return HEADING in prompt.splitlines()
