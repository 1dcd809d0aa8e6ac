"""A conversation on a terminal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli.asking import Asker
from holdfast.cli.commanding import user
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.following import waiting_shown
from holdfast.cli.render.narrator import Narrator
from holdfast.cli.session import Session
from holdfast.errors import CommandRefused, RunNotFound
from holdfast.events import Event, Notice
from holdfast.types import Entry, RunStatus

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from holdfast.client.inputs import RunInput
    from holdfast.client.session import Session as Conversation

HISTORY = "chat_history"
"""File in HOLDFAST_HOME with the messages that were typed."""


class Chat:
    """Sends what a person types, and shows the answers as they are written.

    Args:
        session: an open connection.
        conversation: the session to talk in.
    """

    def __init__(self, session: Session, conversation: Conversation) -> None:
        self._out = session.out
        self._home = session.settings.holdfast_home
        self._conversation = conversation
        self._narrator = Narrator(session.out, run_id=conversation.id)
        self._asker = Asker(session.out, conversation.run, _decided)

    async def once(self, text: RunInput, *, key: str | None) -> ExitCode:
        """Sends one message, prints the answer, and returns how it went; says why nothing happens meanwhile."""
        receipt = await self._conversation.send(text, id=key, by=user())
        narrator = Narrator(self._out, run_id=self._conversation.id, notices_only=True)
        async with waiting_shown(narrator):
            answer = await self._conversation.answer(receipt, hear=narrator.show)
        if self._out.json:
            error = answer.error.model_dump(mode="json") if answer.error else None
            self._out.document(
                {"session_id": self._conversation.id, "answer": answer.content, "error": error, "turns": answer.turns}
            )
        else:
            if answer.content:
                self._out.say(answer.content)
            if answer.error:
                self._out.warn(answer.error.message)
        return ExitCode.OK if answer.success else ExitCode.FAILED

    async def until_left(self) -> None:
        """Talks until the person presses Ctrl-D, or Ctrl-C twice."""
        prompt = _prompt(self._home)
        try:
            await self._greet()
            while (text := await self._typed(prompt)) is not None:
                try:
                    await self._exchange(self._answer_to(text))
                except CommandRefused as refusal:
                    self._out.warn(str(refusal))
        except _Left:
            return

    async def _typed(self, prompt: PromptSession[str]) -> str | None:
        """Returns the next message; `None` means that the person leaves."""
        text = ""
        while not text.strip():
            try:
                text = await prompt.prompt_async("> ")
            except EOFError:
                return None
            except KeyboardInterrupt:
                self._out.note("Ctrl-D leaves the session, which stays open")
        return text

    async def _greet(self) -> None:
        try:
            progress = await self._conversation.run.status()
        except RunNotFound:
            self._out.note(f"session {self._conversation.id} begins with your first message; Ctrl-D leaves it open")
            return
        self._out.note(f"session {self._conversation.id}, turn {progress.turn}, is {progress.status}")
        if progress.status == RunStatus.RUNNING or self._asker.has_questions(progress.waits_for):
            await self._exchange(self._rest(progress.head))
        elif progress.output:
            self._out.say(progress.output)

    async def _answer_to(self, text: str) -> AsyncIterator[Event]:
        """Sends a message and yields what happens until it is answered, but for the message."""
        receipt = await self._conversation.send(text, by=user())
        async for event in self._conversation.stream(receipt):
            if not (isinstance(event, Entry) and event.data.get("command") == receipt.id):
                yield event

    async def _rest(self, head: int) -> AsyncIterator[Event]:
        """Yields what happens after an entry, until the run answers."""
        async for event in self._conversation.run.events(head):
            yield event
            if isinstance(event, Entry) and event.kind == "answer":
                return

    async def _exchange(self, events: AsyncIterator[Event]) -> None:
        """Shows what happens until the run answers.

        Raises:
            CommandRefused: the message is not taken.
            _Left: the person leaves.
        """
        async with self._interruptible(), waiting_shown(self._narrator):
            async for event in events:
                await self._show(event)

    async def _show(self, event: Event) -> None:
        if isinstance(event, Notice) and self._asker.has_questions(event.waits_for):
            await self._ask(event)
            return
        self._narrator.show(event)
        if isinstance(event, Entry) and event.kind == "answer" and (error := event.data.get("error")):
            self._narrator.end()
            self._out.warn(error["message"])

    async def _ask(self, notice: Notice) -> None:
        """Lets the person decide what the run waits for; what happens meanwhile is shown afterwards."""
        self._narrator.end()
        self._narrator.is_held = True
        try:
            await self._asker.ask(notice.waits_for)
        except KeyboardInterrupt:
            await self._interrupt()
        except EOFError:
            raise _Left from None
        finally:
            self._narrator.is_held = False

    @asynccontextmanager
    async def _interruptible(self) -> AsyncIterator[None]:
        """Makes Ctrl-C stop the answer, and a second one leave the session.

        Raises:
            _Left: Ctrl-C was pressed twice.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        requests: list[asyncio.Task[None]] = []

        def stop() -> None:
            if requests:
                task.cancel()
            else:
                requests.append(asyncio.create_task(self._interrupt()))

        loop.add_signal_handler(signal.SIGINT, stop)
        try:
            yield
        except asyncio.CancelledError:
            if not requests:
                raise
            task.uncancel()
            raise _Left from None
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            await asyncio.gather(*requests, return_exceptions=True)

    async def _interrupt(self) -> None:
        try:
            await self._conversation.run.interrupt(by=user())
        except (CommandRefused, RunNotFound) as refusal:  # it was answered meanwhile, or has not begun
            self._out.note(str(refusal))


class _Left(Exception):
    """The person leaves in the middle of an answer."""


async def _decided(text: str) -> str:
    """Asks for a decision, which is kept out of the history of messages."""
    from prompt_toolkit import PromptSession  # noqa: PLC0415 - as below

    return await PromptSession[str]().prompt_async(text, handle_sigint=False)  # Ctrl-C has a meaning of its own here


def _prompt(home: Path) -> PromptSession[str]:
    """Returns a prompt with a history, in which Alt+Enter begins a new line."""
    from prompt_toolkit import PromptSession  # noqa: PLC0415 - a tenth of a second, which only `chat` needs
    from prompt_toolkit.history import FileHistory  # noqa: PLC0415
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent  # noqa: PLC0415

    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    file = home / HISTORY
    os.close(os.open(file, os.O_CREAT | os.O_APPEND, 0o600))  # messages are private
    return PromptSession(history=FileHistory(file), key_bindings=keys, multiline=True)
