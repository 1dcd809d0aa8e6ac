"""Retries of calls to a provider: whether there is another attempt, and after which pause."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED
from holdfast.errors import ErrorType, ModelUnavailable
from holdfast.protocol import ModelCall

log = get_logger(__name__)

MAX_BACKOFF = 60.0  # seconds between attempts if the provider names no pause
MAX_PAUSE = 600.0  # seconds, whatever the provider asks for: a run that waits for a day is as good as failed
FLOOR = (
    0.25  # of the backoff: a provider that asks for no pause, and is still unavailable, is asked less and less often
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has failed."""

    number: int
    """1 is the first."""
    first_at: datetime
    """When the call was scheduled."""
    now: datetime

    @classmethod
    def current(cls) -> Self:
        """Returns the attempt of the running activity."""
        info = activity.info()
        return cls(info.attempt, info.scheduled_time, datetime.now(UTC))

    @classmethod
    def of(cls, call: ModelCall) -> Self:
        """Returns the attempt of a model call, which other activities may have begun."""
        own = cls.current()
        return cls(call.earlier_attempts + own.number, call.begun_at or own.first_at, own.now)


def retry_pause(attempt: int, retry_after: float | None) -> timedelta:
    """Returns the pause after a failed attempt: what the provider asks for within bounds, or else a growing backoff."""
    backoff = min(MAX_BACKOFF, 2.0 ** min(attempt - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries
    if retry_after is None:
        return timedelta(seconds=backoff)
    return timedelta(seconds=min(max(retry_after, FLOOR * backoff), MAX_PAUSE))


def retry_or_fail(
    error: ModelUnavailable, attempt: Attempt, *, deadline: datetime, retry_for: timedelta
) -> ApplicationError:
    """Returns a failure that Temporal retries after a pause, or a permanent one.

    Args:
        error: why the attempt failed.
        attempt: the attempt.
        deadline: when the run's time limit expires.
        retry_for: how long the call is retried.
    """
    number = attempt.number
    if error.max_attempts is not None and number >= error.max_attempts:
        most = error.max_attempts
        tried = f"attempt {number} of {most}" if number <= most else f"attempt {number}; such a call has at most {most}"
        return _permanent(f"{error}; this was {tried}")
    pause = retry_pause(number, error.retry_after)
    if attempt.now + pause >= deadline:
        reason = f"{error}; the run's time limit leaves no room for attempt {number + 1}"
        return ApplicationError(reason, type=ErrorType.TIMED_OUT, non_retryable=True)
    if attempt.now + pause >= attempt.first_at + retry_for:
        minutes = retry_for.total_seconds() / 60
        return _permanent(
            f"{error}; a call is retried for {minutes:g} minute{'' if minutes == 1 else 's'} (MODEL_RETRY_MINUTES), "
            "which have passed"
        )
    log.warning("model call failed, will retry", attempt=number, retry_delay=pause.total_seconds(), reason=str(error))
    return ApplicationError(str(error), type=ErrorType.MODEL_UNAVAILABLE, next_retry_delay=pause, category=EXPECTED)


def _permanent(reason: str) -> ApplicationError:
    return ApplicationError(reason, type=ErrorType.MODEL_UNAVAILABLE, non_retryable=True)
