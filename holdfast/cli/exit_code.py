"""Exit codes of commands."""

from __future__ import annotations

import enum

from holdfast.errors import ErrorType, RunFailed, RunNotFound, Unavailable, UsageError, WaitTimedOut
from holdfast.types import RunResult, RunStatus


class ExitCode(enum.IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    """The run failed or was terminated, or something went wrong that has no code of its own."""
    WRONG_USE = 2
    """Bad arguments or settings, an unknown run or agent, an id that is taken."""
    UNAVAILABLE = 3
    """Temporal, SurrealDB or the worker is unavailable."""
    DAMAGED = 4
    """The mirror differs from the history."""
    DIFFERS = 5
    """A recorded history does not replay with the present workflow code."""
    TIMED_OUT = 124
    """The run's time limit or the caller's timeout passed; the code that `timeout` uses."""
    CANCELLED = 130
    """The run was cancelled, or Ctrl-C ended the command; the code that shells use."""


_BY_STATUS = {
    RunStatus.COMPLETED: ExitCode.OK,
    RunStatus.TIMED_OUT: ExitCode.TIMED_OUT,
    RunStatus.CANCELLED: ExitCode.CANCELLED,
}
_WRONG_USE = {ErrorType.INVALID_REQUEST, ErrorType.UNKNOWN_AGENT, ErrorType.UNKNOWN_WORKFLOW}


def for_result(result: RunResult) -> ExitCode:
    """The code for the way a run ended."""
    if result.error and result.error.type in _WRONG_USE:
        return ExitCode.WRONG_USE
    return _BY_STATUS.get(result.status, ExitCode.FAILED)


def for_error(error: BaseException) -> ExitCode:
    """The code for an error that ended a command."""
    match error:
        case RunFailed():
            return for_result(error.result)
        case UsageError() | RunNotFound():
            return ExitCode.WRONG_USE
        case Unavailable():
            return ExitCode.UNAVAILABLE
        case WaitTimedOut():
            return ExitCode.TIMED_OUT
        case KeyboardInterrupt():
            return ExitCode.CANCELLED
        case _:
            return ExitCode.FAILED
