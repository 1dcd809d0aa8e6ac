"""Retries of calls to a provider: pauses and limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.activities.retries import MAX_BACKOFF, MAX_PAUSE, Attempt, retry_or_fail, retry_pause
from holdfast.errors import ModelUnavailable
from holdfast.models.faults import MAX_RETRY_AFTER, parse_retry_after

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("-5", 0, 0),
        ("nan", None, None),
        ("inf", None, None),
        ("soon", None, None),
        ("", None, None),
        ("1764107958000", 0, MAX_RETRY_AFTER),
        ("1764107958", 0, MAX_RETRY_AFTER),
        ("1e300", MAX_RETRY_AFTER, MAX_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER, MAX_RETRY_AFTER),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        ("Mon, 99 Foo 2026", None, None),
    ],
)
def test_retry_after_is_bounded(header: str, low: float | None, high: float | None) -> None:
    """Whatever the header says, the pause that is read from it is a usable number of seconds, or none."""
    seconds = parse_retry_after({"retry-after": header})
    if low is None or high is None:
        assert seconds is None
    else:
        assert seconds is not None
        assert low <= seconds <= high


def test_a_time_since_1970_is_a_time() -> None:
    """Some providers send the moment, in seconds or milliseconds, instead of the pause."""
    then = datetime.now(UTC).timestamp() + 100
    for value in (then, then * 1000):
        seconds = parse_retry_after({"retry-after": str(int(value))})
        assert seconds is not None
        assert 98 <= seconds <= 100


def test_pauses_grow_and_are_bounded() -> None:
    """Without advice the pause doubles up to a minute; with advice it has a floor that grows, and a ceiling."""
    assert 0.8 <= retry_pause(1, None).total_seconds() <= 1.2
    assert 0.8 * MAX_BACKOFF <= retry_pause(5000, None).total_seconds() <= 1.2 * MAX_BACKOFF
    assert retry_pause(1, 7).total_seconds() == 7
    floors = [retry_pause(attempt, 0).total_seconds() for attempt in (1, 4, 7, 5000)]
    assert floors == sorted(floors) or floors[-1] > 10
    assert 0.2 <= floors[0] <= 0.3
    assert 12 <= floors[-1] <= 18
    assert retry_pause(1, MAX_RETRY_AFTER).total_seconds() == MAX_PAUSE


@dataclass(frozen=True)
class EndCase:
    """A failed attempt, and whether another one follows."""

    name: str
    error: ModelUnavailable
    attempt: int = 1
    passed: timedelta = timedelta(seconds=1)
    deadline: timedelta = 24 * HOUR
    says: str | None = None
    """`None` if another attempt follows."""
    type: str = "ModelUnavailable"


ENDS = [
    EndCase("an outage", ModelUnavailable("down"), attempt=50, passed=0.9 * HOUR),
    EndCase("an outage of an hour", ModelUnavailable("down"), passed=HOUR, says="MODEL_RETRY_MINUTES"),
    EndCase("useless replies", ModelUnavailable("bad", max_attempts=3), attempt=2),
    EndCase("useless replies again", ModelUnavailable("bad", max_attempts=3), attempt=3, says="attempt 3 of 3"),
    EndCase(
        "useless replies after lost workers",
        ModelUnavailable("bad", max_attempts=3),
        attempt=7,
        says="this was attempt 7; such a call has at most 3",
    ),
    EndCase("no time", ModelUnavailable("down"), deadline=timedelta(seconds=1), says="time limit", type="RunTimedOut"),
    EndCase("a long pause", ModelUnavailable("wait", 1e5), deadline=timedelta(minutes=20)),
]


@pytest.mark.parametrize("case", ENDS, ids=lambda case: case.name)
def test_retries_end(case: EndCase) -> None:
    """Retries end after some attempts, after some time, or at the run's time limit; the message says which."""
    attempt = Attempt(case.attempt, START, START + case.passed)
    failure = retry_or_fail(case.error, attempt, deadline=START + case.deadline, retry_for=HOUR)
    assert failure.type == case.type
    assert failure.non_retryable == (case.says is not None)
    assert (case.says or "") in failure.message
    assert (failure.next_retry_delay is None) == failure.non_retryable
