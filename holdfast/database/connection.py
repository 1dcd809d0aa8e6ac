"""One client of SurrealDB, used by one statement at a time, and made anew after it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from holdfast.database.endpoint import Client, Endpoint
from holdfast.errors import StoreUnavailable

T = TypeVar("T")

Execute = Callable[..., Awaitable[list[Any]]]
"""Runs a statement, whose values come by name, and gives the results of its parts."""

OVERTAKEN = "holdfast: overtaken"
"""What our own statements throw when another writer was faster."""
CONFLICT = "can be retried"
"""The words by which the database marks a transaction that lost against another; there is no code for it."""
AFTERMATH = (
    "The query was not executed due to a failed transaction",
    "The query was not executed due to a cancelled transaction",
    "Cannot COMMIT: the transaction was aborted due to a prior error",
)
"""What the other statements of a failed transaction say: true of them, but not the cause."""


class StatementFailed(StoreUnavailable):
    """The database answered, and the answer was no."""


class Overtaken(StatementFailed):
    """Another writer changed the rows in between: nothing was written, and planning anew will help."""


class RequestRefused(Exception):
    """The database did not look at the statement: the client may not ask, or its session has ended."""


class _ConnectionLost(StoreUnavailable):
    """The client gave no answer; whether the statement ran is not known."""


async def execute(client: Client, statement: str, **values: Any) -> list[Any]:
    """Runs one statement, or one transaction, and checks the status of each part.

    Raises:
        StatementFailed: a part failed; the message is the database's.
        RequestRefused: nothing was run.
    """
    answer = await client.query_raw(statement, values)
    if error := answer.get("error"):
        raise RequestRefused(error.get("message", error))
    parts = answer["result"]
    failures = [str(part["result"]) for part in parts if part["status"] != "OK"]
    if not failures:
        return [part["result"] for part in parts]
    cause = _cause(failures)
    raise (Overtaken if OVERTAKEN in cause or CONFLICT in cause else StatementFailed)(cause)


def _cause(failures: Sequence[str]) -> str:
    return next((text for text in failures if text not in AFTERMATH), failures[-1])


class Connection:
    """Runs statements one after the other.

    The embedded engine loses updates when statements overlap, and aborts the process when one is in flight at
    exit. So a statement, once begun, is carried to its end though its caller be cancelled, and the next waits for it.

    Args:
        endpoint: gives the clients.
        prepare: called with each new client's `execute`, before anything else runs on it.
    """

    def __init__(self, endpoint: Endpoint, prepare: Callable[[Execute], Awaitable[None]]) -> None:
        self._endpoint = endpoint
        self._prepare = prepare
        self._client: Client | None = None
        self._turn = asyncio.Lock()
        self._working: asyncio.Task[Any] | None = None  # the loop itself keeps only weak references to tasks

    async def open(self) -> None:
        """Makes a client ready, if there is none."""
        await self._exclusively(self._ready)

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """Runs one statement or transaction, and gives the results of its parts.

        Raises:
            StatementFailed: the database refused it.
            StoreUnavailable: there was no answer in time, or no database.
        """
        return await self._exclusively(partial(self._run, statement, values))

    async def close(self) -> None:
        """Waits for the statement in flight, then closes the client."""
        try:
            await self._exclusively(self._close)
        except StoreUnavailable:
            await self._close()  # only a server takes this long, and only callers that it keeps waiting are cut off

    async def _exclusively(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            async with asyncio.timeout(self._endpoint.patience):
                await self._turn.acquire()
                task = self._working = asyncio.create_task(work())
                task.add_done_callback(lambda _: self._turn.release())
                return await asyncio.shield(task)
        except TimeoutError:
            raise StoreUnavailable(f"{self._endpoint} gave no answer in {self._endpoint.patience} s") from None

    async def _run(self, statement: str, values: dict[str, Any]) -> list[Any]:
        fresh = self._client is None
        try:
            return await self._attempt(statement, values)
        except _ConnectionLost:
            if fresh:
                raise
        # The client was an old one: its server may have restarted, its session may have expired. That shows only in
        # use. Running twice is safe: a write that did happen the first time finds itself overtaken.
        return await self._attempt(statement, values)

    async def _attempt(self, statement: str, values: dict[str, Any]) -> list[Any]:
        client = await self._ready()
        try:
            async with asyncio.timeout(self._endpoint.statement_deadline):
                return await execute(client, statement, **values)
        except Overtaken:
            raise
        except StatementFailed as error:
            if not self._endpoint.trusted:
                await self._drop()
            raise StatementFailed(f"{self._endpoint} refused a statement: {error}") from error
        except TimeoutError:
            await self._drop()
            seconds = self._endpoint.statement_deadline
            raise StoreUnavailable(f"{self._endpoint} did not finish a statement in {seconds} s") from None
        except (Exception, asyncio.CancelledError) as error:
            _reraise_own_cancel(error)
            await self._drop()
            raise _ConnectionLost(f"the connection to {self._endpoint} failed: {_describe(error)}") from error

    async def _ready(self) -> Client:
        if self._client is None:
            self._client = await self._dial()
        return self._client

    async def _dial(self) -> Client:
        try:
            async with asyncio.timeout(self._endpoint.dial_deadline):
                return await self._dial_prepared()
        except StoreUnavailable:
            raise
        except TimeoutError:
            seconds = self._endpoint.dial_deadline
            raise StoreUnavailable(f"{self._endpoint} did not answer in {seconds} s: is the database up?") from None
        except (Exception, asyncio.CancelledError) as error:
            _reraise_own_cancel(error)
            raise StoreUnavailable(f"cannot open {self._endpoint}: {_describe(error)}") from error

    async def _dial_prepared(self) -> Client:
        client = await self._endpoint.dial()
        try:
            await self._prepare(partial(execute, client))
        except BaseException:
            await self._endpoint.hang_up(client, failed=True)
            self._endpoint.release()
            raise
        return client

    async def _drop(self) -> None:
        if self._endpoint.lasting:
            client, self._client = self._client, None
            if client is not None:
                await self._endpoint.hang_up(client, failed=True)

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await self._endpoint.hang_up(client, failed=False)
        self._endpoint.release()


def _reraise_own_cancel(error: BaseException) -> None:
    """Tells a cancel of this task from one that the client raises when its connection ends under a call."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
