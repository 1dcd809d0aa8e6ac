"""Calls of code that one process serves, as a script: while it is not running, the run waits for it, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.progress import Wait
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.open_wait import wait_until_over
    from holdfast.workflows.run.state import RunState

T = TypeVar("T")

PROCESS = "process"
"""Id of the wait of a run for the process that has its agent's code."""


class CodeProcess:
    """The process that has the code of the run's agent, if that is not a worker of the run's task queue.

    A call that it does not begin within seconds is withdrawn. The run then waits, with an activity that the process
    completes as soon as it is back, and makes the call again. So waiting costs nothing, however long it takes.

    Args:
        state: the run.
        gate: says when the run is to continue as new.
    """

    def __init__(self, state: RunState, gate: Gate) -> None:
        self._state = state
        self._gate = gate
        self._return: asyncio.Task[bool] | None = None
        self._waiting = 0
        """Number of calls that wait for it."""

    @property
    def is_awaited(self) -> bool:
        """Whether the run waits for it, or did so until it continued as new."""
        return PROCESS in self._state.open_waits

    def limits(self, task_queue: str | None) -> options.ActivityOptions:
        """Returns the further options of a call in a task queue: if it is the process's, how soon the call begins."""
        if task_queue is None or task_queue != self._state.spec.code_queue:
            return options.ActivityOptions()
        return options.ActivityOptions(schedule_to_start_timeout=options.CODE_START)

    async def served(self, call: Callable[[bool], Awaitable[T]]) -> T | None:
        """Makes a call until the process has begun it, and returns its result.

        Args:
            call: schedules the activity, with `limits`; it is told whether an earlier activity may have attempted it.

        Returns:
            `None` if the run is to continue as new before the process is back.

        Raises:
            ActivityError: the call failed.
            CancelledError: the turn was stopped.
        """
        again = self.is_awaited
        while True:
            try:
                result = await call(again)
            except ActivityError as error:
                if not has_not_begun(error):
                    raise
                if not await self._is_back():
                    return None
                again = True
            else:
                self._end("back")  # of a wait that an earlier execution has begun
                return result

    async def _is_back(self) -> bool:
        """Waits until the process answers; calls that wait for it share one wait."""
        if self._return is None or self._return.done():
            self._return = asyncio.create_task(self._await_return())
        self._waiting += 1
        try:
            return await asyncio.shield(self._return)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._return.cancel()

    async def _await_return(self) -> bool:
        spec = self._state.spec
        what = f"the process that serves {spec.name}"
        wait = Wait(
            id=PROCESS, kind="process", since=workflow_time.now(), what=what, data={"task_queue": spec.code_queue}
        )
        answer = asyncio.create_task(
            call_activity(names.CODE_READY, (), bool, summary=what, **options.code_ready(spec.code_queue))
        )
        self._state.waits_changed = True
        try:
            await wait_until_over(self._state, wait, self._gate, ready=answer.done)
        except asyncio.CancelledError:
            if not self._state.keeps_waits:
                self._end("withdrawn")
            raise
        finally:
            is_back = answer.done()
            answer.cancel()
        if is_back:
            self._end("back")
        return is_back

    def _end(self, outcome: str) -> None:
        if self.is_awaited:
            self._state.end_wait(workflow_time.now(), PROCESS, outcome)


def has_not_begun(error: ActivityError) -> bool:
    """Whether a call was withdrawn, as nobody has begun it in time."""
    cause = error.cause
    return isinstance(cause, TemporalTimeoutError) and cause.type == TimeoutType.SCHEDULE_TO_START
