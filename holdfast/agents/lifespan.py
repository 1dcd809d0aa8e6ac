"""Agents that hold something open, as a pool of connections: entered once per process, and left in the same task."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

ENTER, EXIT = "__aenter__", "__aexit__"
_DEPTH, _INSIDE = "_entered", "_is_entering"  # attributes of an agent: how often it was entered; whether it is being so


def enter_once(cls: type) -> None:
    """Makes the methods of a class with which it is entered and left do so once, however often an instance is entered.

    A call by which a method extends the one of its base class is passed on.
    """
    own = vars(cls)
    if ENTER in own:
        setattr(cls, ENTER, _entering(own[ENTER]))
    if EXIT in own:
        setattr(cls, EXIT, _leaving(own[EXIT]))


def can_be_entered(agent: object) -> bool:
    """Whether an agent has something to enter, and to leave."""
    return hasattr(agent, ENTER) and hasattr(agent, EXIT)


def is_entered(agent: object) -> bool:
    """Whether an agent is entered now."""
    return bool(vars(agent).get(_DEPTH))


def _entering(enter: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    @functools.wraps(enter)
    async def entering(self: Any) -> Any:
        state = vars(self)
        if state.get(_INSIDE):
            return await enter(self)
        if not state.get(_DEPTH):
            state[_INSIDE] = True
            try:
                await enter(self)
            finally:
                state[_INSIDE] = False
        state[_DEPTH] = state.get(_DEPTH, 0) + 1
        return self

    return entering


def _leaving(leave: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(leave)
    async def leaving(self: Any, *error: Any) -> Any:
        state = vars(self)
        if state.get(_INSIDE):
            return await leave(self, *error)
        state[_DEPTH] -= 1
        if state[_DEPTH]:
            return None
        state[_INSIDE] = True
        try:
            return await leave(self, *error)
        finally:
            state[_INSIDE] = False

    return leaving


class Lifespan:
    """Keeps an agent entered, in a task of its own.

    Args:
        agent: has `__aenter__` and `__aexit__`.
    """

    def __init__(self, agent: Any) -> None:
        self._agent = agent
        self._task: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()

    async def open(self) -> None:
        """Enters the agent.

        Raises:
            Exception: whatever `__aenter__` raises.
        """
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(entered), name=f"lifespan of {self._agent.name}")
        await entered

    async def close(self) -> None:
        """Leaves the agent; the end of its event loop has left it already.

        Raises:
            Exception: whatever `__aexit__` raises.
        """
        task = self._task
        self._leave.set()
        if task is not None and not task.done():
            await asyncio.wait([task])
        if task is not None and not task.cancelled() and (error := task.exception()):
            raise error

    async def _live(self, entered: asyncio.Future[None]) -> None:
        try:
            await self._agent.__aenter__()
        except BaseException as error:  # noqa: BLE001 - it is raised where the agent was to be entered
            if not entered.done():
                entered.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
            return
        entered.set_result(None)
        try:
            await self._leave.wait()
        finally:
            await self._agent.__aexit__(None, None, None)
