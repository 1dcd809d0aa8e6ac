"""Gives memories their vectors."""

from __future__ import annotations

import random
from datetime import timedelta

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from holdfast import names
from holdfast.activities.heartbeat import heartbeats
from holdfast.errors import ErrorType, ModelError, ModelUnavailable, StoreUnavailable
from holdfast.storage.memory import Embedding

log = structlog.get_logger()

EXPECTED = ApplicationErrorCategory.BENIGN  # logged here in a line; the SDK would add a traceback for each attempt
LONGEST_PAUSE = 60.0  # seconds between attempts where the provider names none


class MemoryActivities:
    """Makes one attempt at a batch; Temporal retries."""

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding

    @activity.defn(name=names.MEMORY_EMBED)
    async def embed(self, namespace: str) -> int:
        """Embeds the next memories of a namespace that wait, and gives their number; 0: none waits.

        Raises:
            ApplicationError: the embedding model or the store is away, or refuses; says when to try again.
        """
        try:
            async with heartbeats():
                return await self._embedding.next_batch(namespace)
        except ModelError as error:
            raise _try_again(error) from None
        except StoreUnavailable as error:
            log.warning("memories wait for the store", attempt=activity.info().attempt, reason=str(error))
            raise ApplicationError(str(error), type=ErrorType.STORE_UNAVAILABLE, category=EXPECTED) from None


def _try_again(error: ModelError) -> ApplicationError:
    """Has Temporal make another attempt after a pause: also after a refusal, as a wrong key is put right some day."""
    attempt = activity.info().attempt
    if isinstance(error, ModelUnavailable):
        kind = ErrorType.MODEL_UNAVAILABLE
        backoff = min(LONGEST_PAUSE, 2.0 ** min(attempt - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads
        pause = backoff if error.retry_after is None else error.retry_after
    else:
        kind, pause = ErrorType.MODEL_REFUSED, LONGEST_PAUSE
    log.warning("memories wait for the embedding model", attempt=attempt, pause=round(pause, 1), reason=str(error))
    return ApplicationError(str(error), type=kind, next_retry_delay=timedelta(seconds=pause), category=EXPECTED)
