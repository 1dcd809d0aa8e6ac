"""Sends statements to the process that holds a database."""

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

CONNECT_DEADLINE = 3.0  # seconds; loopback takes milliseconds, a frozen process for ever
PING_INTERVAL = 2.0  # seconds between signs of life, and for each to come
MAX_MISSED_PINGS = 2  # in a row, until the other process counts as frozen: one may be our own loop that was busy


class NotExecuted(StoreUnavailable):
    """The statement has changed nothing: it may be sent again, elsewhere."""


class GatewayClient:
    """A connection to a gateway; when it is lost, another must be made. Any number of calls may be in flight.

    Args:
        socket: a connection that the gateway has accepted.
        pid: of the process that holds the database.
    """

    def __init__(self, socket: ClientConnection, pid: int) -> None:
        self._socket = socket
        self._pid = None if _has_died(pid) else pid  # None: a container of its own hides it
        self._holder = f"process {pid}, which holds the database for others too,"
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[int, Callable[[], None]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._usable = True
        self._lost = False
        self._reading = asyncio.create_task(self._read())
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, descriptor: GatewayDescriptor) -> GatewayClient:
        """Connects to the gateway of a descriptor.

        Raises:
            NotExecuted: nobody answers there, or somebody who does not know the token.
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
                ping_interval=None,  # ours, below, tells a busy loop of our own from a frozen process
                logger=log,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            reason = str(error) or type(error).__name__
            raise NotExecuted(
                f"process {descriptor.pid} holds the database and does not answer at {descriptor.address}: {reason}"
            ) from error
        return cls(socket, descriptor.pid)

    @property
    def is_usable(self) -> bool:
        """Whether a statement may be sent."""
        return self._usable

    async def call(self, verb: str, statement: str = "", values: dict[str, Any] | None = None) -> Any:
        """Has a statement carried out, and gives what `Database` gives.

        Raises:
            NotExecuted: it was not; the other process is leaving, or had left.
            StoreUnavailable: there was no answer; whether it was carried out is not known.
        """
        number = next(self._numbers)
        frame = encode([number, verb, statement, values or {}])
        if self._pid is not None and _has_died(self._pid):
            self._usable = False  # the connection tells it too, but perhaps only when the statement is on its way
        if not self._usable:
            raise NotExecuted(f"{self._holder} has gone")
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        try:
            await self._socket.send(frame)
            return await future
        except ConnectionClosed:
            await asyncio.wait([self._reading])  # which says how it ended
            return future.result()
        finally:
            self._waiting.pop(number, None)

    async def listen(self, table: str, notify: Callable[[], None]) -> None:
        """Calls back when a table may have changed, and at first; returns when the connection is lost."""
        number = next(self._numbers)
        self._listeners[number] = notify
        try:
            await self._tell(number, "listen", table)
            await asyncio.shield(self._reading)
        finally:
            del self._listeners[number]
            self._begin(self._tell(next(self._numbers), "stop hearing", values={"number": number}))

    def touch(self, table: str) -> None:
        """Has those woken who watch a table, wherever they are; what was acknowledged before is there by then."""
        self._begin(self._tell(next(self._numbers), "touch", table))

    async def close(self) -> None:
        """Waits for what is in flight and hangs up."""
        while self._waiting and not self._lost:
            await asyncio.wait(self._waiting.values())
        self._usable = False
        if self._sending:
            await asyncio.wait(self._sending, timeout=CLOSE_DEADLINE)
        if self._listening is not None:
            self._listening.cancel()
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
        self._give_up(self._farewell())

    def _settle(self, future: asyncio.Future[Any] | None, kind: str, rest: list[Any]) -> None:
        if kind == LEAVING:
            self._usable = False
        if future is None or future.done():  # whoever asked was cancelled
            return
        if kind == LEAVING:
            future.set_exception(NotExecuted(f"{self._holder} is letting go of it"))
        elif kind == FAILED:
            future.set_exception(error_from(*rest))
        else:
            future.set_result(rest[0])

    async def _listen(self) -> None:
        """Watches over the other process for as long as something is asked of it."""
        missed = 0
        while self._waiting:
            await asyncio.sleep(PING_INTERVAL)
            missed = 0 if await self._answers_ping() else missed + 1
            if missed == MAX_MISSED_PINGS:
                self._give_up(self._unknown(f"has not answered for {2 * MAX_MISSED_PINGS * PING_INTERVAL:.0f} s"))
                self._socket.transport.abort()

    async def _answers_ping(self) -> bool:
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(PING_INTERVAL):
                await (await self._socket.ping())
                return True
        return False

    def _farewell(self) -> StoreUnavailable:
        """A gateway that closes in order has answered all that it carried out before it says so."""
        if self._socket.close_code == CloseCode.GOING_AWAY:
            return NotExecuted(f"{self._holder} has let go of it")
        return self._unknown("went away")

    def _unknown(self, fate: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self._holder} {fate}; whether it carried the statement out is not known")

    def _give_up(self, error: StoreUnavailable) -> None:
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
        pass  # it is there, and somebody else's
    return False
