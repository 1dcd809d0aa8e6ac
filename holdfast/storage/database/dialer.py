"""A dialer: opens sessions of one database, and shares one failed attempt between all callers that wait for it."""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol

from holdfast.errors import StoreUnavailable, UsageError
from holdfast.storage.database.dialect import Execute
from holdfast.storage.database.endpoint import C, Endpoint
from holdfast.storage.database.session import Session

PREPARE_DEADLINE = 120.0  # seconds to apply the schema; building an index over existing rows may take long


PREPARED_ANSWERS = 2  # that show which dialect the database has, and which schema


class Preparation(Protocol):
    """A state that a database must be in before it is used, such as a schema."""

    async def is_done(self, execute: Execute) -> bool:
        """Returns whether the database is in that state; one small read."""
        ...

    async def do(self, execute: Execute) -> None:
        """Brings the database to that state; several processes may do it at once."""


class Dialer(Generic[C]):
    """Opens one session at a time.

    Attributes:
        failures: number of failed attempts; comparing it before and after waiting shows a failure in between.
    """

    def __init__(self, endpoint: Endpoint[C], preparation: Preparation | None = None) -> None:
        self._endpoint = endpoint
        self._preparation = preparation
        self._lock = asyncio.Lock()
        self._last: StoreUnavailable | None = None
        self.failures = 0

    async def dial(self, known_failures: int) -> Session[C]:
        """Returns a new session that is ready for statements.

        Args:
            known_failures: `failures` when the caller began to wait. If an attempt has failed since, this call fails
                with the same error: fifty callers of a stopped server wait for one attempt, not for fifty.

        Raises:
            StoreUnavailable: the database is unreachable or denies access.
            UsageError: the configured user lacks a required permission.
        """
        async with self._lock:
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
            session = Session(await self._endpoint.dial())
            async with asyncio.timeout(seconds and PREPARED_ANSWERS * seconds) as limit:
                await self._prepare(session, limit)
        except BaseException as error:
            await self._give_up(session)
            if isinstance(error, TimeoutError):
                raise StoreUnavailable(
                    f"{self._endpoint} did not answer within {seconds} s: check that the database is running"
                ) from None
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
            raise StoreUnavailable(
                f"{self._endpoint} did not apply the schema within {PREPARE_DEADLINE} s: try again"
            ) from None

    async def _give_up(self, session: Session[C] | None) -> None:
        if session is not None:
            await self._endpoint.disconnect(session.client, failed=True)
            self._endpoint.release()


def reraise_final(error: BaseException) -> None:
    """Raises errors that already have a clear message, and those that end this task; returns for all others."""
    if isinstance(error, StoreUnavailable | UsageError):
        raise error
    if is_task_cancelled(error) or not isinstance(error, Exception | asyncio.CancelledError):
        raise error


def is_task_cancelled(error: BaseException) -> bool:
    """Returns whether this task was cancelled; the client raises CancelledError too when its connection is lost."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def describe(error: BaseException) -> str:
    """Returns type and text of an error, for a message."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
