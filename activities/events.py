"""Activities of events that runs wait for by name."""

from __future__ import annotations

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED
from holdfast.errors import ErrorType, TemporalUnavailable, UsageError
from holdfast.event_topics import EmittedEvent, EventWaiter
from holdfast.ports.event_topics import EventTopics

log = get_logger(__name__)


class EventActivities:
    """Emits events and registers runs that wait for them; both can be repeated safely."""

    def __init__(self, topics: EventTopics) -> None:
        self._topics = topics

    @activity.defn(name=names.EVENT_AWAIT)
    async def register(self, name: str, waiter: EventWaiter) -> bool:
        """Registers a run that waits for the next event of a name, and returns True.

        Raises:
            ApplicationError: the name is not accepted; or, retryable, Temporal is unavailable.
        """
        try:
            await self._topics.register(name, waiter)
        except (UsageError, TemporalUnavailable) as error:
            raise _failure(error) from None
        return True

    @activity.defn(name=names.EVENT_EMIT)
    async def emit(self, name: str, event: EmittedEvent) -> bool:
        """Emits an event, unless one with its id is known, and returns True.

        Raises:
            ApplicationError: see `register`.
        """
        try:
            await self._topics.emit(name, event)
        except (UsageError, TemporalUnavailable) as error:
            raise _failure(error) from None
        return True


def _failure(error: UsageError | TemporalUnavailable) -> ApplicationError:
    if isinstance(error, UsageError):
        return ApplicationError(str(error), type=ErrorType.INVALID_REQUEST, non_retryable=True)
    log.warning("Temporal is unavailable, will retry", attempt=activity.info().attempt, reason=str(error))
    return ApplicationError(str(error), type=ErrorType.INTERNAL, category=EXPECTED)
