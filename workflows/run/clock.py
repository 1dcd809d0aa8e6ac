"""The clock of a run, which counts only the time in which something runs."""

from __future__ import annotations

from datetime import datetime, timedelta


class RunClock:
    """Counts running time; waiting and paused time does not count.

    Args:
        limit: seconds of running time after which the run is out of time.
        spent: seconds that earlier executions have counted.
        now: workflow time, at which the clock starts.
    """

    def __init__(self, limit: float, *, spent: float, now: datetime) -> None:
        self.limit = timedelta(seconds=limit)
        """Running time after which the run is out of time."""
        self._spent = timedelta(seconds=spent)
        self._since: datetime | None = now

    @property
    def deadline(self) -> datetime | None:
        """When the run is out of time if it keeps running; `None` means that the clock stands still."""
        return None if self._since is None else self._since + self.limit - self._spent

    def extend(self, limit: float) -> None:
        """Sets another limit, in seconds."""
        self.limit = timedelta(seconds=limit)

    def spent(self, now: datetime) -> float:
        """Returns the seconds that have counted so far."""
        running = now - self._since if self._since is not None else timedelta()
        return (self._spent + running).total_seconds()

    def stop(self, now: datetime) -> None:
        """Stops the clock, unless it stands still already."""
        if self._since is not None:
            self._spent += now - self._since
            self._since = None

    def start(self, now: datetime) -> None:
        """Starts the clock, unless it runs already."""
        if self._since is None:
            self._since = now
