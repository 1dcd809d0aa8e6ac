"""Waiting for a worker that serves what a run calls, as during a rolling deployment; people see what it waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.workflows.calls import SUMMARY_CHARS, error_type
    from holdfast.workflows.options import FIRST_WAIT, LONGEST_WAIT
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.view import View

T = TypeVar("T")

LEDGER = "the store, in which a tool call must be claimed before it begins (TOOL_LEDGER=require)"

WORKSPACE = "the files of its workspace, which are restored from the store"
BEGUN_LATER = (ErrorType.NOT_SERVED, ErrorType.CLAIM_REQUIRED, ErrorType.WORKSPACE_NOT_READY)
"""Types of failures of calls that have certainly not begun."""


class Waits:
    """Repeats calls that no worker has served yet."""

    def __init__(self, state: RunState, view: View) -> None:
        self._unserved = state.unserved
        self._view = view

    async def until_served(
        self, what: str, call: Callable[[], Awaitable[T]], *, pauses: Callable[[], bool] = lambda: False
    ) -> T | None:
        """Calls until a worker serves the call, and returns its result; the run's time limit ends the wait.

        Args:
            what: what the run waits for, as `a worker that serves tool 'x'`.
            call: makes the call; called again only if no worker has begun it.
            pauses: whether to give up between two attempts, upon which the result is `None`.

        Raises:
            ActivityError: the call failed.
        """
        try:
            return await self._until_served(what, call, pauses)
        finally:
            for missing in [what, LEDGER, WORKSPACE]:
                self._unserved.pop(missing, None)

    async def _until_served(self, what: str, call: Callable[[], Awaitable[T]], pauses: Callable[[], bool]) -> T | None:
        delay = FIRST_WAIT
        while True:
            try:
                return await call()
            except ActivityError as error:
                if not is_unserved(error):
                    raise
                missing = _missing(error) or what
            self._unserved[missing] = None
            if pauses():
                return None
            with self._view.waiting_for(missing):
                await workflow.sleep(delay, summary=shortened(f"waiting for {missing}", SUMMARY_CHARS))
            delay = min(2 * delay, LONGEST_WAIT)


def _missing(error: ActivityError) -> str | None:
    """Returns what a call waits for that its worker serves; `None` means that the worker does not serve it."""
    kind = error_type(error)
    if kind == ErrorType.WORKSPACE_NOT_READY:
        return WORKSPACE
    return LEDGER if kind == ErrorType.CLAIM_REQUIRED else None


def is_unserved(error: ActivityError) -> bool:
    """Whether a call failed because its worker does not serve it, so that it has certainly not begun."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return False
    # A worker without a catch-all, which may be another program, answers in the SDK's words.
    return cause.type in BEGUN_LATER or (
        cause.type == "NotFoundError" and "is not registered on this worker" in cause.message
    )
