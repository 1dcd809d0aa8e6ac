"""Tool calls of runs, and the assertion that one was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from holdfast.agent_result import AgentResult
from holdfast.client.run_handle import RunHandle
from holdfast.testing.replies import shortened
from holdfast.types import Entry, RunId, ToolCall


@dataclass(frozen=True)
class MadeCall:
    """A tool call that a model asked for."""

    run_id: RunId
    tool: str
    arguments: dict[str, Any] | str
    """As the model wrote them; text if they are not a JSON object."""
    result: str | None = None
    """What the model was told; `None` means that the call has not ended."""
    failed: bool = False
    """Whether the result is an error."""

    def matches(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Whether this is a call of a tool with at least these arguments."""
        return self.tool == tool and _contains(self.arguments, arguments)

    def __str__(self) -> str:
        end = "" if self.result is None else f" -> {shortened(self.result)}"
        return f"{_shown_call(self.tool, self.arguments)}{end}"


class Called:
    """Asserts that a tool was called.

    Args:
        read: returns the calls of runs, oldest first; `None` stands for all runs of the test.
    """

    def __init__(self, read: Callable[[RunId | None], Sequence[MadeCall]]) -> None:
        self._read = read

    @overload
    def __call__(self, tool: str, /, **arguments: Any) -> list[MadeCall]: ...
    @overload
    def __call__(self, run: AgentResult | RunHandle, tool: str, /, **arguments: Any) -> list[MadeCall]: ...
    def __call__(
        self, first: AgentResult | RunHandle | str, second: str | None = None, /, **arguments: Any
    ) -> list[MadeCall]:
        """Returns the calls of a tool, and fails if there is none.

            called("order", article="rope")
            called(result, "order")

        Args:
            first: the tool's name, or the result or the handle of the run whose calls count alone.
            second: the tool's name if a run was named.
            arguments: those that the call has at least; of an object, the fields that it has at least.

        Raises:
            AssertionError: there is no such call; the message lists the calls that were made.
        """
        run, tool = (None, first) if second is None else (first, second)
        assert isinstance(tool, str), f"called() takes the name of a tool after {tool!r:.80}"
        made = self.all(run)
        found = [call for call in made if call.matches(tool, arguments)]
        if not found:
            wanted = _shown_call(tool, arguments)
            listed = [f"  {number}. {call}" for number, call in enumerate(made, 1)] or ["  none"]
            raise AssertionError("\n".join([f"no call {wanted}; the calls that were made:", *listed]))
        return found

    def all(self, run: AgentResult | RunHandle | str | None = None) -> list[MadeCall]:
        """Returns all calls of the test, or of one run, in the order in which the model asked for them."""
        match run:
            case AgentResult():
                return list(self._read(run.run_id))
            case RunHandle():
                return list(self._read(run.id))
        return list(self._read(run))


def calls_of(run_id: RunId, entries: Iterable[Entry]) -> list[MadeCall]:
    """Returns the tool calls in a run's log, oldest first."""
    made: list[MadeCall] = []
    places: dict[str | None, int] = {}  # of the newest reply's calls, whose ids are unique within it
    for entry in entries:
        message = entry.message
        if message is None:
            continue
        if message.role == "assistant":
            places = {call.id: len(made) + place for place, call in enumerate(message.tool_calls)}
            made += [MadeCall(run_id, call.name, _arguments(call)) for call in message.tool_calls]
        elif message.role == "tool" and message.tool_call_id in places:
            place = places[message.tool_call_id]
            made[place] = replace(made[place], result=message.content, failed=bool(entry.data.get("error")))
    return made


def _arguments(call: ToolCall) -> dict[str, Any] | str:
    try:
        found = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return call.arguments
    return found if isinstance(found, dict) else call.arguments


def _contains(given: object, wanted: object) -> bool:
    """Whether a value is the wanted one, or an object with at least its fields."""
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and all(
            name in given and _contains(given[name], value) for name, value in wanted.items()
        )
    return bool(given == wanted)


def _shown_call(tool: str, arguments: Mapping[str, Any] | str) -> str:
    if isinstance(arguments, str):
        return f"{tool}({arguments})"
    return f"{tool}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
