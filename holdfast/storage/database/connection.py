"""One session of SurrealDB, used by one statement at a time, and made anew after it failed."""

from __future__ import annotations

import asyncio
from typing import Any, Generic

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.dialer import Dialer, describe, reraise_final
from holdfast.storage.database.endpoint import C, Endpoint
from holdfast.storage.database.errors import StatementFailed, WriteConflict
from holdfast.storage.database.session import Session


class _ConnectionLost(StoreUnavailable):
    """The client gave no answer; whether the statement ran is not known."""


class Connection(Generic[C]):
    """Runs statements; its user sees to it that they do not overlap.

    Args:
        endpoint: where the database is.
        dialer: makes the sessions.

    Attributes:
        known_failures: for the dialer: how many of its attempts had failed when the present user began to wait.
    """

    def __init__(self, endpoint: Endpoint[C], dialer: Dialer[C]) -> None:
        self._endpoint = endpoint
        self._dialer = dialer
        self._session: Session[C] | None = None
        self.known_failures = 0

    async def run(self, statement: str, values: dict[str, Any]) -> list[Any]:
        """Runs one statement or transaction, and gives the results of its parts.

        Raises:
            StatementFailed: the database refused it.
            StoreUnavailable: there was no answer in time, or no database.
        """
        fresh = self._session is None
        try:
            return await self._attempt(statement, values)
        except _ConnectionLost:
            if fresh:
                raise
        # The session was an old one: its server may have restarted, it may have expired. That shows only in use.
        # Running twice is safe: a write that did happen the first time finds itself overtaken.
        return await self._attempt(statement, values)

    async def ready(self) -> Session[C]:
        """Gives the session; makes one if there is none."""
        if self._session is None:
            self._session = await self._dialer.dial(self.known_failures)
        return self._session

    async def close(self) -> None:
        """Closes the session, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            await self._endpoint.disconnect(session.client, failed=False)

    async def _attempt(self, statement: str, values: dict[str, Any]) -> list[Any]:
        session = await self.ready()
        try:
            async with asyncio.timeout(self._endpoint.statement_deadline):
                return await session.execute(statement, **values)
        except WriteConflict:
            raise
        except StatementFailed as error:
            if not self._endpoint.survives_failure:
                await self.drop()
            raise StatementFailed(f"{self._endpoint} refused a statement: {error}") from error
        except TimeoutError:
            await self.drop()
            seconds = self._endpoint.statement_deadline
            raise StoreUnavailable(f"{self._endpoint} did not finish a statement in {seconds} s") from None
        except (Exception, asyncio.CancelledError) as error:
            reraise_final(error)
            await self.drop()
            raise _ConnectionLost(f"the connection to {self._endpoint} failed: {describe(error)}") from error

    async def drop(self) -> None:
        """Throws the session away, if there can be another on the same data; the next use makes one."""
        if self._endpoint.durable:
            session, self._session = self._session, None
            if session is not None:
                await self._endpoint.disconnect(session.client, failed=True)
