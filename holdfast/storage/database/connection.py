"""A connection that runs one statement at a time and replaces its session after a failure."""

from __future__ import annotations

import asyncio
from typing import Any, Generic

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.dialer import Dialer, describe, reraise_final
from holdfast.storage.database.endpoint import C, Endpoint
from holdfast.storage.database.errors import StatementFailed, WriteConflict
from holdfast.storage.database.session import Session


class _ConnectionLost(StoreUnavailable):
    """The client did not answer; the statement may or may not have run."""


class Connection(Generic[C]):
    """Runs statements; the caller ensures that they do not overlap.

    Args:
        endpoint: where the database is.
        dialer: creates the sessions.

    Attributes:
        known_failures: the dialer's `failures` when the current caller began to wait.
    """

    def __init__(self, endpoint: Endpoint[C], dialer: Dialer[C]) -> None:
        self._endpoint = endpoint
        self._dialer = dialer
        self._session: Session[C] | None = None
        self.known_failures = 0

    async def run(self, statement: str, values: dict[str, Any]) -> list[Any]:
        """Runs one statement or transaction and returns the result of each part.

        Raises:
            StatementFailed: the database rejected it.
            StoreUnavailable: the database is unreachable or did not answer in time.
        """
        fresh = self._session is None
        try:
            return await self._attempt(statement, values)
        except _ConnectionLost:
            if fresh:
                raise
        # An old session may have expired, or its server may have restarted; that shows only when it is used.
        # A second run is safe: if the first one did write, the second gets a WriteConflict.
        return await self._attempt(statement, values)

    async def ready(self) -> Session[C]:
        """Returns the session; creates one if necessary."""
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
            raise StatementFailed(f"{self._endpoint} rejected a statement: {error}") from error
        except TimeoutError:
            await self.drop()
            seconds = self._endpoint.statement_deadline
            raise StoreUnavailable(f"{self._endpoint} did not finish a statement in {seconds} s") from None
        except (Exception, asyncio.CancelledError) as error:
            reraise_final(error)
            await self.drop()
            raise _ConnectionLost(f"the connection to {self._endpoint} failed: {describe(error)}") from error

    async def drop(self) -> None:
        """Discards the session, if a new one would see the same data; the next use creates one."""
        if self._endpoint.durable:
            session, self._session = self._session, None
            if session is not None:
                await self._endpoint.disconnect(session.client, failed=True)
