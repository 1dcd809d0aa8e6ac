"""A conversation on a terminal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli.commanding import user
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.following import waiting_shown
from holdfast.cli.render.narrator import Narrator
from holdfast.cli.session import Session
from holdfast.errors import CommandRefused, RunNotFound
from holdfast.types import Entry

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from holdfast.client.session import Session as Conversation
    from holdfast.commands import Receipt

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

    async def once(self, text: str, *, key: str | None) -> ExitCode:
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
        await self._greet()
        prompt = _prompt(self._home)
        while True:
            try:
                text = await prompt.prompt_async("> ")
            except EOFError:
                return
            except KeyboardInterrupt:
                self._out.note("Ctrl-D leaves the session, which stays open")
                continue
            if text.strip():
                try:
                    await self._exchange(text)
                except CommandRefused as refusal:
                    self._out.warn(str(refusal))
                except _Left:
                    return

    async def _greet(self) -> None:
        try:
            progress = await self._conversation.run.status()
        except RunNotFound:
            self._out.note(f"session {self._conversation.id} begins with your first message; Ctrl-D leaves it open")
            return
        self._out.note(f"session {self._conversation.id}, turn {progress.turn}, is {progress.status}")
        if progress.output:
            self._out.say(progress.output)

    async def _exchange(self, text: str) -> None:
        """Sends a message and shows what happens until it is answered."""
        async with self._interruptible(), waiting_shown(self._narrator):
            await self._show(await self._conversation.send(text, by=user()))

    async def _show(self, receipt: Receipt) -> None:
        async for event in self._conversation.stream(receipt):
            is_own = isinstance(event, Entry) and event.data.get("command") == receipt.id
            if not is_own:
                self._narrator.show(event)
            if isinstance(event, Entry) and event.kind == "answer" and (error := event.data.get("error")):
                self._narrator.end()
                self._out.warn(error["message"])

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
