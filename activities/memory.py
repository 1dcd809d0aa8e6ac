"""The activity that computes the vectors of memories."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED, store_unavailable
from holdfast.activities.heartbeat import heartbeats
from holdfast.activities.retries import MAX_BACKOFF, retry_pause
from holdfast.errors import ErrorType, ModelError, ModelUnavailable, StoreUnavailable
from holdfast.storage.memory import Embedding

log = get_logger(__name__)


class MemoryActivities:
    """Embeds one batch in each attempt; Temporal retries."""

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding

    @activity.defn(name=names.MEMORY_EMBED)
    async def embed(self, namespace: str) -> int:
        """Embeds the next pending memories of a namespace and returns their number; 0 if none is pending.

        Raises:
            ApplicationError: the embedding model or the store is unavailable or rejects the request; carries the delay
                until the next attempt.
        """
        try:
            async with heartbeats():
                return await self._embedding.next_batch(namespace)
        except ModelError as error:
            raise _retryable(error) from None
        except StoreUnavailable as error:
            log.warning(
                "the store is unavailable; memories wait for their vectors",
                attempt=activity.info().attempt,
                reason=str(error),
            )
            raise store_unavailable(error) from None


def _retryable(error: ModelError) -> ApplicationError:
    """Returns a failure that Temporal retries after a delay, also if the model rejects the request: keys get fixed."""
    attempt = activity.info().attempt
    if isinstance(error, ModelUnavailable):
        kind, pause = ErrorType.MODEL_UNAVAILABLE, retry_pause(attempt, error.retry_after)
    else:
        kind, pause = ErrorType.MODEL_REFUSED, timedelta(seconds=MAX_BACKOFF)
    delay = round(pause.total_seconds(), 1)
    log.warning("embedding failed, will retry", attempt=attempt, retry_delay=delay, reason=str(error))
    return ApplicationError(str(error), type=kind, next_retry_delay=pause, category=EXPECTED)
