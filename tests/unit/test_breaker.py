"""Circuit breaker of a provider."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from holdfast.errors import ModelRefused, ModelUnavailable
from holdfast.fault_reason import FaultReason
from holdfast.models.breaker import FIRST_OPEN, PROBE_WAIT, Breaker, BreakerLimits


class Clock:
    """A clock that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """A breaker that opens after three failures within a minute."""
    return Breaker("acme", BreakerLimits(failures=3, window=60, longest=12), clock)


def fail(breaker: Breaker, reason: FaultReason = FaultReason.SERVER_ERROR) -> None:
    """Makes a call that fails."""
    with pytest.raises(ModelUnavailable, match="it is down"), breaker.call():
        raise ModelUnavailable("it is down", reason=reason)


def refused(breaker: Breaker) -> ModelUnavailable:
    """Makes a call that the breaker refuses, and returns the error."""
    with pytest.raises(ModelUnavailable) as error, breaker.call():
        raise AssertionError("the call was admitted")
    assert error.value.reason == FaultReason.BREAKER_OPEN
    return error.value


def test_it_opens_after_consecutive_failures(breaker: Breaker) -> None:
    """After as many failures in a row as are allowed, calls are refused, with the reason and the time to wait."""
    fail(breaker)
    fail(breaker)
    with breaker.call():
        pass
    for _ in range(3):
        assert not breaker.is_open
        fail(breaker)
    error = refused(breaker)
    assert error.retry_after == FIRST_OPEN
    for words in ("'acme'", "last 3 calls", "in 5 s", "it is down"):
        assert words in str(error)


def test_failures_before_the_window_do_not_count(breaker: Breaker, clock: Clock) -> None:
    """Failures that are further apart than the window do not open it."""
    for _ in range(5):
        fail(breaker)
        clock.now += 31
    assert not breaker.is_open


def test_answers_are_no_failures(breaker: Breaker) -> None:
    """Rate limits and refusals are answers of a provider that is up."""
    for _ in range(5):
        fail(breaker)
        fail(breaker, FaultReason.RATE_LIMITED)
        fail(breaker)
        with pytest.raises(ModelRefused), breaker.call():
            raise ModelRefused("no")
    assert not breaker.is_open


def open_breaker(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker)


def test_half_open_single_probe(breaker: Breaker, clock: Clock) -> None:
    """After the pause one call is admitted; while it is in flight, no other is."""
    open_breaker(breaker)
    clock.now += FIRST_OPEN
    with breaker.call():
        assert refused(breaker).retry_after == PROBE_WAIT
        assert "one call is being made" in str(refused(breaker))
    assert not breaker.is_open
    with breaker.call(), breaker.call():
        pass


def test_each_probe_that_fails_doubles_the_pause(breaker: Breaker, clock: Clock) -> None:
    """The pause grows with each probe that fails, up to the longest; late failures of other calls change nothing."""
    with suppress(ModelUnavailable), breaker.call():
        open_breaker(breaker)
        clock.now += 1
        raise ModelUnavailable("late")
    for pause in (4, 10, 12, 12):
        assert refused(breaker).retry_after == pause
        clock.now += pause
        fail(breaker)


def test_a_cancelled_probe_leaves_room_for_another(breaker: Breaker, clock: Clock) -> None:
    """A cancelled probe decides nothing, and the next call is the probe."""
    open_breaker(breaker)
    clock.now += FIRST_OPEN
    with pytest.raises(asyncio.CancelledError), breaker.call():
        raise asyncio.CancelledError
    assert breaker.is_open
    with breaker.call():
        pass
    assert not breaker.is_open


def test_a_probe_that_hangs_does_not_block_for_ever(breaker: Breaker, clock: Clock) -> None:
    """Another probe is made if one has not been answered for the longest pause, and the first one's end is ignored."""
    open_breaker(breaker)
    clock.now += FIRST_OPEN
    with suppress(ModelUnavailable), breaker.call():
        clock.now += 12
        with breaker.call():
            pass
        assert not breaker.is_open
        raise ModelUnavailable("hung")
    assert not breaker.is_open


def test_the_first_text_of_a_probe_closes_it(breaker: Breaker, clock: Clock) -> None:
    """Other calls need not wait until the reply of the probe is complete."""
    open_breaker(breaker)
    clock.now += FIRST_OPEN
    with breaker.call() as answers:
        answers()
        with breaker.call():
            pass


def test_it_can_be_turned_off(clock: Clock) -> None:
    """With 0 failures it never opens."""
    breaker = Breaker("acme", BreakerLimits(failures=0), clock)
    for _ in range(50):
        fail(breaker)
    assert not breaker.is_open
