"""The activity that computes the vectors of memories."""

from __future__ import annotations

import random
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.heartbeat import heartbeats
from holdfast.errors import ErrorType, ModelError, ModelUnavailable, StoreUnavailable
from holdfast.storage.memory import Embedding

log = get_logger(__name__)

EXPECTED = ApplicationErrorCategory.BENIGN  # logged here on one line; the SDK would add a traceback for each attempt
MAX_RETRY_DELAY = 60.0  # seconds between attempts if the provider names no delay


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
            raise ApplicationError(str(error), type=ErrorType.STORE_UNAVAILABLE, category=EXPECTED) from None


def _retryable(error: ModelError) -> ApplicationError:
    """Returns a failure that Temporal retries after a delay, also if the model rejects the request: keys get fixed."""
    attempt = activity.info().attempt
    if isinstance(error, ModelUnavailable):
        kind = ErrorType.MODEL_UNAVAILABLE
        backoff = min(MAX_RETRY_DELAY, 2.0 ** min(attempt - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads
        delay = backoff if error.retry_after is None else error.retry_after
    else:
        kind, delay = ErrorType.MODEL_REFUSED, MAX_RETRY_DELAY
    log.warning("embedding failed, will retry", attempt=attempt, retry_delay=round(delay, 1), reason=str(error))
    return ApplicationError(str(error), type=kind, next_retry_delay=timedelta(seconds=delay), category=EXPECTED)
