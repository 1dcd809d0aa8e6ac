"""A client of the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable, Coroutine
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import CloseCode

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.gateway.descriptor import GatewayDescriptor
from holdfast.storage.database.gateway.server import CLOSE_DEADLINE, log
from holdfast.storage.database.gateway.wire import CHANGED, FAILED, LEAVING, MAX_FRAME, decode, encode, error_from

CONNECT_DEADLINE = 3.0  # seconds; connecting takes milliseconds, unless the process is frozen
PING_INTERVAL = 2.0  # seconds between two pings, and for each to be answered
MAX_MISSED_PINGS = 2  # in a row until the owner counts as frozen; a single one may be due to our own busy event loop


class NotExecuted(StoreUnavailable):
    """The call was not executed; it may be sent again over another route."""


class GatewayClient:
    """A connection to a gateway; any number of calls may be in flight. After it is lost, connect again.

    Args:
        socket: a connection that the gateway has accepted.
        pid: process id of the owner.
    """

    def __init__(self, socket: ClientConnection, pid: int) -> None:
        self._socket = socket
        self._pid = (
            None if _has_died(pid) else pid
        )  # `None` means that it is not visible, because it runs in another container
        self._owner = f"process {pid}, which owns the database,"
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[int, Callable[[], None]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._usable = True
        self._lost = False
        self._reading = asyncio.create_task(self._read())
        self._monitoring: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, descriptor: GatewayDescriptor) -> GatewayClient:
        """Connects to the gateway of a descriptor.

        Raises:
            NotExecuted: the gateway does not answer, or rejects the token.
        """
        try:
            socket = await connect(
                f"ws://{descriptor.address}",
                additional_headers={"Authorization": f"Bearer {descriptor.token}"},
                proxy=None,
                compression=None,
                max_size=MAX_FRAME,
                open_timeout=CONNECT_DEADLINE,
                close_timeout=CLOSE_DEADLINE,
                ping_interval=None,  # replaced by `_monitor`, which tells our own busy event loop from a frozen owner
                logger=log,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            reason = str(error) or type(error).__name__
            raise NotExecuted(
                f"process {descriptor.pid} owns the database and does not answer at {descriptor.address}: {reason}"
            ) from error
        return cls(socket, descriptor.pid)

    @property
    def is_usable(self) -> bool:
        """Whether calls can be sent."""
        return self._usable

    async def call(self, verb: str, statement: str = "", values: dict[str, Any] | None = None) -> Any:
        """Calls a method of the owner's database and returns its result; see `execute`.

        Raises:
            NotExecuted: it was not executed, because the owner is closing or has ended.
            StoreUnavailable: the owner did not answer; the call may or may not have been executed.
        """
        number = next(self._numbers)
        frame = encode([number, verb, statement, values or {}])
        if self._pid is not None and _has_died(self._pid):
            self._usable = False  # the connection would show it too, but maybe only after the call was sent
        if not self._usable:
            raise NotExecuted(f"{self._owner} has ended")
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        if self._monitoring is None or self._monitoring.done():
            self._monitoring = asyncio.create_task(self._monitor())
        try:
            await self._socket.send(frame)
            return await future
        except ConnectionClosed:
            await asyncio.wait([self._reading])  # sets the outcome of all futures
            return future.result()
        finally:
            self._waiting.pop(number, None)

    async def listen(self, table: str, notify: Callable[[], None]) -> None:
        """Calls `notify` at first and when a table may have changed; returns when the connection is lost."""
        number = next(self._numbers)
        self._listeners[number] = notify
        try:
            await self._tell(number, "listen", table)
            await asyncio.shield(self._reading)
        finally:
            del self._listeners[number]
            self._begin(self._tell(next(self._numbers), "stop listening", values={"number": number}))

    def touch(self, table: str) -> None:
        """Notifies the watches of a table in all processes; earlier acknowledged writes are visible to them."""
        self._begin(self._tell(next(self._numbers), "touch", table))

    async def close(self) -> None:
        """Waits for calls in flight, then closes the connection."""
        while self._waiting and not self._lost:
            await asyncio.wait(self._waiting.values())
        self._usable = False
        if self._sending:
            await asyncio.wait(self._sending, timeout=CLOSE_DEADLINE)
        if self._monitoring is not None:
            self._monitoring.cancel()
        await self._socket.close()
        await self._reading

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _tell(self, number: int, verb: str, subject: str = "", values: dict[str, Any] | None = None) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(encode([number, verb, subject, values or {}]))

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                number, kind, *rest = decode(frame if isinstance(frame, bytes) else frame.encode())
                if kind != CHANGED:
                    self._settle(self._waiting.get(number), kind, rest)
                elif number in self._listeners:
                    self._listeners[number]()
        self._fail_all(self._closing_error())

    def _settle(self, future: asyncio.Future[Any] | None, kind: str, rest: list[Any]) -> None:
        if kind == LEAVING:
            self._usable = False
        if future is None or future.done():  # the caller was cancelled
            return
        if kind == LEAVING:
            future.set_exception(NotExecuted(f"{self._owner} is closing it"))
        elif kind == FAILED:
            future.set_exception(error_from(*rest))
        else:
            future.set_result(rest[0])

    async def _monitor(self) -> None:
        """Pings the owner for as long as calls are in flight."""
        missed = 0
        while self._waiting:
            await asyncio.sleep(PING_INTERVAL)
            missed = 0 if await self._answers_ping() else missed + 1
            if missed == MAX_MISSED_PINGS:
                self._fail_all(self._unknown(f"has not answered for {2 * MAX_MISSED_PINGS * PING_INTERVAL:.0f} s"))
                self._socket.transport.abort()

    async def _answers_ping(self) -> bool:
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(PING_INTERVAL):
                await (await self._socket.ping())
                return True
        return False

    def _closing_error(self) -> StoreUnavailable:
        """Returns the error of unanswered calls. A gateway that closes in order first answers all executed calls."""
        if self._socket.close_code == CloseCode.GOING_AWAY:
            return NotExecuted(f"{self._owner} has closed it")
        return self._unknown("has ended")

    def _unknown(self, fate: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self._owner} {fate}; the call may or may not have been executed")

    def _fail_all(self, error: StoreUnavailable) -> None:
        self._usable, self._lost = False, True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


def _has_died(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it exists and belongs to another user
    return False
