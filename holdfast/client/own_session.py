"""Sessions of agents that a program runs itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from holdfast.client.inputs import RunInput
from holdfast.client.run_handle import RunHandle
from holdfast.client.session import Answer, Session
from holdfast.commands import Receipt
from holdfast.events import Event


class OwnSession:
    """A conversation with an agent whose code this process serves; `Agent.session` returns one.

    Args:
        run_id: its id, which is that of its run.
        open: connects, serves the agent's code, and returns the session.
    """

    def __init__(self, run_id: str, open: Callable[[], Awaitable[Session]]) -> None:  # noqa: A002
        self.id = run_id
        self._open = open

    async def send(self, text: RunInput, **options: Any) -> Receipt:
        """Sends a message, and starts the session if there is none; see `Session.send`."""
        return await (await self._open()).send(text, **options)

    async def ask(self, text: RunInput, **options: Any) -> Answer:
        """Sends a message and waits for the answer to it; see `Session.ask`."""
        return await (await self._open()).ask(text, **options)

    async def answer(self, receipt: Receipt) -> Answer:
        """Waits for the answer to a message; see `Session.answer`."""
        return await (await self._open()).answer(receipt)

    async def stream(self, text: RunInput, **options: Any) -> AsyncIterator[Event]:
        """Sends a message and yields what happens until the answer to it, which is the last event."""
        session = await self._open()
        async for event in session.stream(await session.send(text, **options)):
            yield event

    async def save_conversation(self, *, file: str | Path | None = None, log: bool = True) -> Path:
        """Saves the conversation up to its last answer; see `RunHandle.save_conversation`."""
        return await (await self._open()).save_conversation(file=file, log=log)

    async def run(self) -> RunHandle:
        """Returns the handle of the session's run."""
        return (await self._open()).run
