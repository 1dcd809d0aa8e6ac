"""Calls of a server's tools, as the connection sees them, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from holdfast.elicitation import Elicitation, ServerAnswer, ServerQuestion
from holdfast.errors import HoldfastError
from holdfast.types import ToolResult


class NotSent(HoldfastError):
    """The server has certainly not received a call, or refused it unread; it can be made by another connection."""


@dataclass(frozen=True, kw_only=True)
class ListedTool:
    """A tool as a server describes it."""

    name: str
    description: str
    schema: dict[str, Any]
    read_only: bool = False
    idempotent: bool = False
    destructive: bool = False


@dataclass(frozen=True, kw_only=True)
class ServerCall:
    """A call of a tool."""

    tool: Callable[[ListedTool], bool]
    """Whether a tool is the one that is called."""
    name: str
    """Of the tool, as the model knows it."""
    arguments: dict[str, Any]
    key: str
    """The same in each attempt of the call, and for each answer."""
    run_id: str
    elicitation: Elicitation | None = None
    """What people have answered; `None` means that the call begins."""
    report: Callable[[float, str | None], None] = field(default=lambda _done, _text: None)
    """Told how far the call is."""


class OpenCall:
    """A call that the server works on; while it waits for an answer, the server keeps it open.

    Args:
        call: the call.
    """

    def __init__(self, call: ServerCall) -> None:
        self.call = call
        self.task: asyncio.Future[ToolResult] | None = None
        """The request to the server; `None` before it has begun."""
        self._known = list(call.elicitation.answers) if call.elicitation else []
        """Answers of earlier attempts, to questions that the server asks again."""
        self._given: list[ServerAnswer] = list(self._known)
        self._question: asyncio.Future[ServerQuestion] = asyncio.get_running_loop().create_future()
        self._answer: asyncio.Future[ServerAnswer] | None = None

    @property
    def is_asking(self) -> bool:
        """Whether it waits for an answer."""
        return self._answer is not None and not self._answer.done()

    @property
    def has_given_up(self) -> bool:
        """Whether the server has withdrawn the question before it was answered."""
        return self._answer is not None and self._answer.cancelled()

    async def ask(self, question: ServerQuestion) -> ServerAnswer:
        """Returns the answer to a question of the server, if need be when a person has given it."""
        if self._known and self._known[0].question == question:
            return self._known.pop(0)
        self._known.clear()
        self._answer = asyncio.get_running_loop().create_future()
        if self._question.done():
            self._question = asyncio.get_running_loop().create_future()
        self._question.set_result(question)
        return await self._answer

    def question(self) -> asyncio.Future[ServerQuestion]:
        """Returns the next question that only a person can answer."""
        return self._question

    def asked(self, server: str, question: ServerQuestion) -> Elicitation:
        """Returns what a person is asked."""
        return Elicitation(server=server, questions=[question], answers=self._given, earlier=len(self._given))

    def resume(self, call: ServerCall) -> None:
        """Passes the newest answer to the server."""
        assert call.elicitation is not None, "it has answers"
        self.call = call
        self._given = list(call.elicitation.answers)
        self._question = asyncio.get_running_loop().create_future()
        self.answer(self._given[-1])

    def take_over(self, other: OpenCall) -> None:
        """Takes over the question of another call that has ended: so it was asked in this call."""
        if other.is_asking and not self.is_asking:
            self._answer = other._answer
            if not self._question.done():
                self._question.set_result(other._question.result())

    def cancel_question(self) -> None:
        """Tells the server that nobody answers."""
        if self._question.done():
            self.answer(ServerAnswer(question=self._question.result(), action="cancel"))

    def answer(self, answer: ServerAnswer) -> None:
        """Answers the question that waits, unless the server has given it up."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
