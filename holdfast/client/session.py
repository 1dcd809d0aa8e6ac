"""Sessions: conversations with an agent, each of them one run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import WithStartWorkflowOperation
from temporalio.exceptions import WorkflowAlreadyStartedError

from holdfast.agent_result import Read, typed_answer
from holdfast.agents.readers import Readers
from holdfast.arguments import check_instance
from holdfast.client.commander import Commander
from holdfast.client.inputs import RunInput
from holdfast.client.run_commands import checked_command
from holdfast.client.run_handle import RunHandle
from holdfast.commands import Policy, Receipt, Send
from holdfast.errors import CommandRefused, NoAnswer, RunOver, SessionOver
from holdfast.events import Event
from holdfast.types import Entry, RunError

Start = Callable[[], Awaitable[Callable[[], WithStartWorkflowOperation[Any, Any]]]]


@dataclass(frozen=True)
class Answer:
    """What an agent answered to a message in a session."""

    content: str
    """The text; empty if there is no answer."""
    error: RunError | None
    """Why there is no answer, or no complete one; `None` if there is one. The session continues in any case."""
    turns: int
    """Number of model calls that the answer took."""
    finish_reason: str | None
    """Why the model's last reply ended, in OpenAI's terms."""
    seq: int
    """The entry of the log that records it."""
    typed: bool = False
    """Whether `content` is the JSON text of an answer in the form that the agent declares."""
    read: Read | None = field(default=None, repr=False, compare=False)
    """As in `AgentResult`."""

    @property
    def success(self) -> bool:
        """Whether the agent has answered."""
        return self.error is None

    @property
    def output(self) -> Any:
        """The answer as a value of the agent's `output_type`, as `AgentResult.output`.

        Raises:
            NoAnswer: there is none; `error` says why.
        """
        if self.error is not None:
            raise NoAnswer(f"the agent has not answered: {self.error.message}")
        return typed_answer(self.content, self.read, is_json=self.typed)

    @property
    def reply(self) -> str:
        """The same as `content`."""
        return self.content


class Session:
    """A conversation that survives crashes, and waits for weeks if need be; `Holdfast.session` returns one."""

    def __init__(self, run: RunHandle, commander: Commander, start: Start, read: Readers | None = None) -> None:
        """
        Args:
            run: the run of the session, which may not exist yet.
            commander: sends messages.
            start: checks how the run is started, and returns it.
            read: makes values of the JSON text of answers.
        """
        self.read = read
        self.run = run
        self._commander = commander
        self._prepare = start
        self._start: Callable[[], WithStartWorkflowOperation[Any, Any]] | None = None

    @property
    def id(self) -> str:
        """The session's id, which is that of its run."""
        return self.run.id

    async def send(
        self,
        text: RunInput,
        *,
        policy: Policy | str = Policy.STEER,
        pin: bool = False,
        id: str | None = None,  # noqa: A002 - the field's word
        by: str | None = None,
    ) -> Receipt:
        """Sends a message, and starts the session if there is none: one request, which can be repeated safely.

        Args:
            text: as in `RunHandle.send`.
            policy: as in `RunHandle.send`.
            pin: as in `RunHandle.send`.
            id: as in `RunHandle.send`.
            by: as in `RunHandle.send`.

        Raises:
            SessionOver: the session has ended; `fork` continues the conversation under another id.
            CommandRefused: the run of this id is not a session, or too many messages wait.
            UnknownAgent: the session would begin, and nobody knows its agent.
            UsageError: an argument is not accepted.
            WorkerUnavailable: no worker answers.
        """
        message = await self.run.inputs.message(text)
        command = checked_command(Send, **message, policy=policy, pin=pin, id=id, by=by, to_session=True)
        if self._start is None:
            self._start = await self._prepare()
        try:
            return await self._commander.start_or_send(self.id, command, self._start)
        except (WorkflowAlreadyStartedError, SessionOver):
            raise SessionOver(
                f"session {self.id!r} has ended; continue the conversation in a new one with `fork {self.id}`, "
                "or begin another under a new id"
            ) from None

    async def ask(self, text: RunInput, **options: Any) -> Answer:
        """Sends a message as `send` does, and waits for the answer to it.

        Raises:
            RunOver: the session ended before it answered.
        """
        return await self.answer(await self.send(text, **options))

    async def answer(self, receipt: Receipt, *, hear: Callable[[Event], None] | None = None) -> Answer:
        """Waits for the answer to a message.

        Args:
            receipt: what `send` returned for it.
            hear: called with each event until then.

        Raises:
            RunOver: the session ended before it answered.
        """
        async for event, is_answer in self._exchange(receipt):
            if hear is not None:
                hear(event)
            if is_answer:
                assert isinstance(event, Entry), "an answer is an entry"
                return _answer(event, self.read)
        raise RunOver(f"session {self.id!r} ended before it answered; `show {self.id}` says why")

    async def save_conversation(self, *, file: str | Path | None = None, log: bool = True) -> Path:
        """Saves the conversation up to its last answer; see `RunHandle.save_conversation`."""
        return await self.run.save_conversation(file=file, log=log)

    async def stream(self, receipt: Receipt) -> AsyncIterator[Event]:
        """Yields what happens from a message to the answer to it, whose entry of kind `answer` is the last event.

        Args:
            receipt: what `send` returned for the message.

        Raises:
            CommandRefused: the message was dropped.
        """
        async for event, _ in self._exchange(receipt):
            yield event

    async def _exchange(self, receipt: Receipt) -> AsyncIterator[tuple[Event, bool]]:
        """Yields what happens from a message to the answer to it, and of each event whether it is that answer.

        A message that no worker has taken yet has no known place in the log, in which earlier answers come before it.
        """
        check_instance("receipt", receipt, Receipt, "what `send` has returned")
        has_begun, is_delivered = receipt.seq is not None, False
        async for event in self.run.events((receipt.seq or 0) - 1):
            data = event.data if isinstance(event, Entry) else {}
            has_begun = has_begun or receipt.id in (data.get("id"), data.get("command"))
            if not has_begun:
                continue
            kind = event.kind if isinstance(event, Entry) else None
            is_delivered = is_delivered or (kind == "message" and data.get("command") == receipt.id)
            is_answer = is_delivered and kind == "answer"
            yield event, is_answer
            if kind in {"dropped", "refused"} and data.get("id") == receipt.id:
                raise CommandRefused(f"the message was not delivered: {data.get('reason')}")
            if is_answer:
                return


def _answer(entry: Entry, readers: Readers | None) -> Answer:
    data = entry.data
    error = data.get("error")
    return Answer(
        content=data.get("output", ""),
        error=RunError.model_validate(error) if error else None,
        turns=data.get("turns", 0),
        finish_reason=data.get("finish_reason"),
        seq=entry.seq,
        typed=bool(data.get("typed")),
        read=readers.of(data.get("agent")) if readers else None,
    )
