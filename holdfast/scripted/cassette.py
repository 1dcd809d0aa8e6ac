"""Cassettes: recorded model calls of real runs, which answer the same requests again without a model.

A cassette is a file of JSON lines, each with a `request` and its `reply`. Requests are normalised: they have the model,
the messages and the tools, without the ids of calls, which differ from one run to the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ValidationError

from holdfast.chat_requests import normalised
from holdfast.errors import UsageError
from holdfast.scripted.cassette_diff import difference, nearest
from holdfast.scripted.chat import ChatReply, ChatRequest, ChatToolCall
from holdfast.scripted.server import BadRequest
from holdfast.types import Usage

MASK = "…"  # replaces what a cassette ignores


class RecordedCall(BaseModel):
    """A tool call in a recorded reply."""

    name: str
    arguments: str = "{}"
    """JSON text as the model wrote it."""


class RecordedReply(BaseModel):
    """What a model replied."""

    content: str = ""
    tool_calls: list[RecordedCall] = []
    finish_reason: str | None = None
    model: str | None = None
    """As the provider named it; `None` means that it did not."""
    usage: Usage | None = None

    def chat_reply(self) -> ChatReply:
        """Returns the reply of a server that plays it."""
        calls = [ChatToolCall(call.name, call.arguments) for call in self.tool_calls]
        return ChatReply(
            self.content, tool_calls=calls, finish_reason=self.finish_reason, model=self.model, usage=self.usage
        )


class Interaction(BaseModel):
    """One model call: a line of a cassette."""

    request: dict[str, Any]
    """As `normalised` returns it."""
    reply: RecordedReply

    def line(self) -> str:
        """Returns the line, without its end."""
        counted = {"reply": {"usage": {"requests", "unpriced"}}}
        return json.dumps(self.model_dump(exclude_defaults=True, exclude=counted), ensure_ascii=False)


class Cassette:
    """Plays recorded calls.

    A request that was recorded several times gets the replies in their order, and then the last one again, as a call
    may be repeated after a crash.

    Args:
        interactions: the recorded calls.
        default_model: the model that answers if an agent names none; recorded requests do not name it.
        ignore: regular expressions; what they match in texts may differ from what was recorded.
        name: of the cassette, for messages.

    Attributes:
        misses: what was asked but not recorded, each as a comparison with the nearest recorded request.
    """

    def __init__(
        self,
        interactions: Sequence[Interaction],
        *,
        default_model: str | None = None,
        ignore: Iterable[str] = (),
        name: str = "the cassette",
    ) -> None:
        self.misses: list[str] = []
        self._name = name
        self._default_model = default_model
        self._ignored = [re.compile(pattern) for pattern in ignore]
        self._interactions = [
            each.model_copy(update={"request": _masked(each.request, self._ignored)}) for each in interactions
        ]
        self._unplayed: dict[str, list[int]] = {}
        self._last: dict[str, int] = {}
        for number, interaction in enumerate(self._interactions):
            self._unplayed.setdefault(_key(interaction.request), []).append(number)

    @classmethod
    def load(cls, *paths: Path, default_model: str | None = None, ignore: Iterable[str] = ()) -> Self:
        """Reads a cassette from one or several files.

        Raises:
            UsageError: a file cannot be read, or is not a cassette.
        """
        interactions = [interaction for path in paths for interaction in _read(path)]
        name = ", ".join(path.name for path in paths)
        return cls(interactions, default_model=default_model, ignore=ignore, name=name)

    def respond(self, request: ChatRequest) -> ChatReply:
        """Returns the recorded reply to a request.

        Raises:
            BadRequest: it was not recorded; the message compares it with the nearest recorded one.
        """
        asked = _masked(normalised(request.body, self._default_model), self._ignored)
        key = _key(asked)
        if waiting := self._unplayed.get(key):
            self._last[key] = waiting.pop(0)
        if key in self._last:
            return self._interactions[self._last[key]].reply.chat_reply()
        self.misses.append(self._miss(asked))
        raise BadRequest(self.misses[-1])

    def assert_complete(self) -> None:
        """Asserts that each recorded call was played, and none was asked for that was not recorded.

        Raises:
            AssertionError: the message shows what differs.
        """
        left = sorted(number + 1 for numbers in self._unplayed.values() for number in numbers)
        told = [f"{self._name}: nothing has asked for line {', '.join(map(str, left))}"] if left else []
        if self.misses or told:
            raise AssertionError("\n\n".join([*self.misses, *told]))

    def _miss(self, asked: dict[str, Any]) -> str:
        number = nearest(asked, [each.request for each in self._interactions])
        if number is None:
            return f"{self._name} has no recorded request"
        compared = difference(self._interactions[number].request, asked)
        return (
            f"no request in {self._name} matches; the nearest one, in line {number + 1}, differs "
            f"(- recorded, + asked):\n{compared}"
        )


def _read(path: Path) -> list[Interaction]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(
            f"the cassette {str(path)!r} cannot be read: {error.strerror}; `record ID` makes one"
        ) from None
    try:
        return [Interaction.model_validate_json(line) for line in lines if line.strip()]
    except ValidationError as error:
        raise UsageError(f"{str(path)!r} is not a cassette: {error.errors()[0]['msg']}; see `record`") from None


def _key(request: Mapping[str, Any]) -> str:
    return json.dumps(request, sort_keys=True)


def _masked(value: Any, ignored: Sequence[re.Pattern[str]]) -> Any:
    """Returns a JSON value in whose texts everything is masked that is ignored."""
    if isinstance(value, str):
        for pattern in ignored:
            value = pattern.sub(MASK, value)
        return value
    if isinstance(value, list):
        return [_masked(item, ignored) for item in value]
    if isinstance(value, dict):
        return {name: _masked(item, ignored) for name, item in value.items()}
    return value
