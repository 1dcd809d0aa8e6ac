"""System prompts that a function of the agent writes."""

from __future__ import annotations

from typing import Any

from holdfast.agents.user_functions import UserFunction
from holdfast.types import clean_text


def as_prompt(agent: str, given: Any, instance: object) -> UserFunction | None:
    """Returns the function that writes the system prompt of an agent; `None` means that the prompt is not a function.

    Args:
        agent: name of the agent, for messages.
        given: what the agent was defined with.
        instance: the agent; the function may be a method of its class.

    Raises:
        AgentDefinitionError: the function needs other parameters than a `RunContext`.
    """
    if not callable(given) and not isinstance(given, staticmethod):
        return None
    return UserFunction.of(agent, "system_prompt", given, instance, values=0)


class BadPrompt(Exception):
    """A function has not returned a system prompt; calling it again would not help."""


def checked_prompt(function: str, said: Any, max_bytes: int) -> str:
    """Returns what a function has returned, if it is a system prompt.

    Args:
        function: its name, for messages.
        said: what it has returned.
        max_bytes: size of the largest prompt, in UTF-8.

    Raises:
        BadPrompt: it is not text, or too large.
    """
    if not isinstance(said, str):
        raise BadPrompt(f"the function {function!r} of the system prompt returned {said!r:.80}; it must return text")
    text: str = clean_text(said)
    if (size := len(text.encode())) > max_bytes:
        raise BadPrompt(
            f"the system prompt of the function {function!r} has {size:,} bytes; the maximum is {max_bytes:,}"
        )
    return text
