"""Circuit breaker of a provider: stops calls to one that is down, and finds out with single probes when it is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from holdfast._util.logger import get_logger
from holdfast.errors import ModelError, ModelUnavailable
from holdfast.fault_reason import FaultReason

log = get_logger(__name__)

FIRST_OPEN = 5.0  # seconds until the first probe; doubled after each probe that fails
PROBE_WAIT = 1.0  # seconds after which a call that arrives during a probe asks again
MAX_QUOTED = 300  # characters of the last failure


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a breaker opens, and for how long."""

    failures: int = 10
    """Consecutive failures that open it; 0 means that it never opens."""
    window: float = 60.0
    """Seconds within which they happen."""
    longest: float = 60.0
    """Maximum seconds between two probes."""


class Breaker:
    """Counts the failures of one provider in this process.

    Outages count: errors of the server, broken connections, timeouts and replies that cannot be used. A rate limit or
    a refusal is an answer, so it ends a series of failures like a reply does.

    Args:
        provider: its name, for messages.
        limits: when it opens.
        clock: returns seconds of a steady clock.
    """

    def __init__(self, provider: str, limits: BreakerLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._limits = limits
        self._clock = clock
        self._failures: list[float] = []  # moments of the consecutive failures within the window
        self._pause = 0.0  # seconds between the last failure and the next probe; 0 means that it is closed
        self._probe_at = 0.0
        self._probing_since: float | None = None
        self._last = ""

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, except for probes."""
        return self._pause > 0

    @contextmanager
    def call(self) -> Iterator[Callable[[], None]]:
        """Admits a call and learns its outcome; yields a function that reports the first sign of an answer.

        Raises:
            ModelUnavailable: the breaker is open; the call was not made.
        """
        probe = self._admit()
        try:
            yield self._succeeded
        except ModelError as error:
            if isinstance(error, ModelUnavailable) and error.reason != FaultReason.RATE_LIMITED:
                self._failed(str(error), probe)
            else:
                self._succeeded()
            raise
        except BaseException:  # a cancelled call says nothing about the provider
            if self._is_current(probe):
                self._probing_since = None
            raise
        self._succeeded()

    def _admit(self) -> float | None:
        """Admits a call; returns when it began if it is a probe, and `None` if it is not."""
        if not self.is_open:
            return None
        now = self._clock()
        if now < self._probe_at:
            raise self._refusal(f"the next call is made in {self._probe_at - now:.0f} s", self._probe_at - now)
        if self._probing_since is not None and now < self._probing_since + self._limits.longest:
            raise self._refusal("one call is being made to see whether it answers", PROBE_WAIT)
        self._probing_since = now
        log.info("asking a provider that was unavailable", provider=self._provider)
        return now

    def _refusal(self, prospect: str, retry_after: float) -> ModelUnavailable:
        return ModelUnavailable(
            f"provider {self._provider!r} is not called, as its last {self._limits.failures} calls have failed; "
            f"{prospect}; the last error: {self._last}",
            retry_after,
            reason=FaultReason.BREAKER_OPEN,
        )

    def _succeeded(self) -> None:
        if self.is_open:
            log.info("a provider answers again", provider=self._provider)
        self._failures.clear()
        self._pause, self._probing_since = 0.0, None

    def _failed(self, reason: str, probe: float | None) -> None:
        now = self._clock()
        self._last = reason[:MAX_QUOTED]
        if self.is_open:
            if self._is_current(probe):  # calls that began before it opened tell nothing new
                self._open(now, 2 * self._pause)
            return
        self._failures = [*(at for at in self._failures if at > now - self._limits.window), now]
        if self._limits.failures and len(self._failures) >= self._limits.failures:
            self._open(now, FIRST_OPEN)

    def _open(self, now: float, pause: float) -> None:
        self._pause = min(pause, self._limits.longest)
        self._probe_at = now + self._pause
        self._failures.clear()
        self._probing_since = None
        log.warning(
            "a provider fails repeatedly and is not called for a while",
            provider=self._provider,
            seconds=self._pause,
            reason=self._last,
        )

    def _is_current(self, probe: float | None) -> bool:
        return probe is not None and probe == self._probing_since
