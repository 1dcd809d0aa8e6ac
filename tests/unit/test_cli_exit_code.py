"""Exit codes of commands."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from holdfast.cli.exit_code import ExitCode, for_error, for_result
from holdfast.errors import (
    ErrorType,
    HoldfastError,
    RunExists,
    RunFailed,
    RunNotFound,
    SettingsError,
    StoreLocked,
    TemporalUnavailable,
    UnknownAgent,
    WaitTimedOut,
    WorkerUnavailable,
)
from holdfast.types import RunError, RunResult, RunStatus

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def ended(status: RunStatus, error: str | None = None) -> RunResult:
    reason = RunError(type=error, message="why") if error else None
    return RunResult(run_id="r", agent="a", status=status, error=reason, started_at=NOW)


@dataclass(frozen=True)
class ResultCase:
    status: RunStatus
    error: str | None
    expected: int


@pytest.mark.parametrize(
    "case",
    [
        ResultCase(RunStatus.COMPLETED, None, 0),
        ResultCase(RunStatus.FAILED, ErrorType.MODEL_REFUSED, 1),
        ResultCase(RunStatus.FAILED, ErrorType.MAX_TURNS, 1),
        ResultCase(RunStatus.TERMINATED, ErrorType.TERMINATED, 1),
        ResultCase(RunStatus.FAILED, ErrorType.UNKNOWN_AGENT, 2),
        ResultCase(RunStatus.FAILED, ErrorType.INVALID_REQUEST, 2),
        ResultCase(RunStatus.TIMED_OUT, ErrorType.TIMED_OUT, 124),
        ResultCase(RunStatus.CANCELLED, ErrorType.CANCELLED, 130),
    ],
    ids=lambda case: f"{case.status}-{case.error}",
)
def test_code_of_a_result(case: ResultCase) -> None:
    """Each result has its exit code."""
    result = ended(case.status, case.error)
    assert for_result(result) == case.expected
    assert for_error(RunFailed(result)) == case.expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RunNotFound("x"), 2),
        (RunExists("x"), 2),
        (SettingsError("x"), 2),
        (UnknownAgent("x"), 2),
        (TemporalUnavailable("x"), 3),
        (WorkerUnavailable("x"), 3),
        (StoreLocked("x"), 3),
        (WaitTimedOut("x"), 124),
        (KeyboardInterrupt(), 130),
        (HoldfastError("x"), 1),
        (RuntimeError("x"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_code_of_an_error(error: BaseException, expected: int) -> None:
    """Each error has its exit code."""
    assert for_error(error) == expected
    assert for_error(error) in list(ExitCode)
