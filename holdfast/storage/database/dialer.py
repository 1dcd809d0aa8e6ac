"""Makes sessions of one database, and keeps a crowd from trying one after the other while it is away."""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol

from holdfast.errors import StoreUnavailable, UsageError
from holdfast.storage.database.dialect import Execute
from holdfast.storage.database.endpoint import C, Endpoint
from holdfast.storage.database.session import Session

PREPARE_DEADLINE = 120.0  # seconds for applying the schema: an index over old rows takes its time


class Preparation(Protocol):
    """What a database must be brought to before it is used."""

    async def is_done(self, execute: Execute) -> bool:
        """Whether it is there already; a small read."""
        ...

    async def do(self, execute: Execute) -> None:
        """Brings it there; safe when several processes do it at once."""


class Dialer(Generic[C]):
    """Dials one at a time.

    Attributes:
        failures: attempts that failed. Who notes it before waiting can tell that one failed meanwhile.
    """

    def __init__(self, endpoint: Endpoint[C], preparation: Preparation | None = None) -> None:
        self._endpoint = endpoint
        self._preparation = preparation
        self._turn = asyncio.Lock()
        self._last: StoreUnavailable | None = None
        self.failures = 0

    async def dial(self, known_failures: int) -> Session[C]:
        """Makes a session that is ready for statements.

        Args:
            known_failures: `failures` when the caller began to wait. If an attempt has failed since, that answers it
                too: fifty callers of a server that is gone wait for one attempt, not for fifty.

        Raises:
            StoreUnavailable: there is no database, or no access to it.
            UsageError: this user cannot have what is asked for.
        """
        async with self._turn:
            if self._last and self.failures > known_failures:
                raise type(self._last)(*self._last.args)
            try:
                return await self._dial()
            except StoreUnavailable as error:
                self.failures += 1
                self._last = error
                raise

    async def _dial(self) -> Session[C]:
        seconds = self._endpoint.dial_deadline
        session = None
        try:
            async with asyncio.timeout(seconds) as limit:
                session = Session(await self._endpoint.dial())
                await self._prepare(session, limit)
        except BaseException as error:
            await self._give_up(session)
            if isinstance(error, TimeoutError):
                raise StoreUnavailable(f"{self._endpoint} did not answer in {seconds} s: is the database up?") from None
            reraise_final(error)
            raise StoreUnavailable(f"cannot open {self._endpoint}: {describe(error)}") from error
        return session

    async def _prepare(self, session: Session[C], limit: asyncio.Timeout) -> None:
        if self._preparation is None or await self._preparation.is_done(session.execute):
            return
        limit.reschedule(None)
        try:
            async with asyncio.timeout(self._endpoint.dial_deadline and PREPARE_DEADLINE):
                await self._preparation.do(session.execute)
        except TimeoutError:
            raise StoreUnavailable(f"{self._endpoint} did not take the schema in {PREPARE_DEADLINE} s") from None

    async def _give_up(self, session: Session[C] | None) -> None:
        if session is not None:
            await self._endpoint.disconnect(session.client, failed=True)
            self._endpoint.release()


def reraise_final(error: BaseException) -> None:
    """Passes on what is said well already, and what ends this task."""
    if isinstance(error, StoreUnavailable | UsageError):
        raise error
    if is_task_cancelled(error) or not isinstance(error, Exception | asyncio.CancelledError):
        raise error


def is_task_cancelled(error: BaseException) -> bool:
    """Tells a cancel of this task from one that the client raises when its connection ends under a call."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def describe(error: BaseException) -> str:
    """The error in a message."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
