"""The next step of a run, decided by pure functions of what has happened."""

from __future__ import annotations

import json
from dataclasses import dataclass

from holdfast.bounds import shortened
from holdfast.errors import ErrorType
from holdfast.types import AgentSpec, Message, RunError, ToolCall, ToolSpec


@dataclass(frozen=True)
class CallModel:
    """Call the model for its next message."""


@dataclass(frozen=True)
class CallTools:
    """Make the calls that the model asked for."""

    calls: list[ToolCall]


@dataclass(frozen=True)
class Finish:
    """The model has given its last reply."""

    fault: RunError | None = None
    """Why the reply is not an answer; `None` if it is one."""


@dataclass(frozen=True)
class GiveUp:
    """The run cannot continue."""

    error: RunError


@dataclass(frozen=True)
class WaitForMessage:
    """The session has answered, and waits for the next message."""


Step = CallModel | CallTools | Finish | GiveUp | WaitForMessage


def next_step(
    last: Message | None,
    *,
    pending: list[ToolCall],
    finish_reason: str | None,
    turns: int,
    max_turns: int,
    messages: int = 0,
    answered: bool = False,
) -> Step:
    """Returns the next step, which depends on the newest message.

    Args:
        last: the newest message; `None` right after continue-as-new.
        pending: the calls of the last reply without a result.
        finish_reason: why the last reply ended, in OpenAI's terms.
        turns: number of model calls so far; of a session, in this exchange.
        max_turns: maximum number of model calls.
        messages: number of messages that the model has not seen yet.
        answered: whether a session has answered its last message.
    """
    if pending:
        return CallTools(pending)
    if answered:
        return CallModel() if messages else WaitForMessage()
    is_reply = last is not None and last.role == "assistant" and not last.partial
    if last and is_reply and not messages:
        return Finish(answer_fault(last.content, finish_reason or ""))
    if turns >= max_turns:
        return GiveUp(
            RunError(
                type=ErrorType.MAX_TURNS,
                message=f"no answer after {max_turns} turns, which is this run's limit; "
                "raise max_turns or ask a narrower question",
            )
        )
    return CallModel()


def answer_fault(text: str, finish_reason: str) -> RunError | None:
    """Returns why a reply without tool calls is not an answer; `None` if it is one."""
    told = f"(finish_reason {finish_reason})"
    if finish_reason == "length":
        message = f"the model's answer was cut off at max_tokens, or at the end of its context {told}"
        return RunError(type=ErrorType.ANSWER_CUT_OFF, message=f"{message}; raise max_tokens in the model settings")
    if finish_reason == "content_filter":
        message = f"the provider's content filter withheld the model's answer, or a part of it {told}"
        return RunError(type=ErrorType.ANSWER_FILTERED, message=message)
    if not text.strip():
        return RunError(type=ErrorType.ANSWER_EMPTY, message=f"the model's answer is empty {told}")
    return None


def refuse_call(call: ToolCall, tools: dict[str, ToolSpec]) -> str | None:
    """Returns why a call cannot be made, in words for the model; `None` if it can."""
    tool = tools.get(call.name)
    if tool is None:
        known = ", ".join(sorted(tools)) or "none"
        return f"there is no tool {call.name!r}; the tools are: {known}"
    return None


def too_many_calls(limit: int) -> str:
    """Returns why a call was not made after `limit` others of its turn, in words for the model."""
    return f"not called: at most {limit} calls are made in one turn; make this one in a later turn if you still need it"


def describe_call(call: ToolCall) -> str:
    """Returns a call on one line: `read_file(path=notes.md)`."""
    try:
        arguments = json.loads(call.arguments)
        shown = ", ".join(f"{name}={_brief(value)}" for name, value in arguments.items())
    except (ValueError, AttributeError, RecursionError):
        shown = _brief(call.arguments)
    return shortened(f"{call.name}({shown})", 120)


def tools_by_name(spec: AgentSpec) -> dict[str, ToolSpec]:
    """Returns the agent's tools by name."""
    return {tool.name: tool for tool in spec.tools}


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(" ".join(text.split()), 40)
