"""Workers of one process: that of the runs, and those of further task queues."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from temporalio.client import Client
from temporalio.worker import Worker

from holdfast.temporal.rates import limit_rate


class Workers:
    """Workers that start and shut down together.

    Args:
        client: connected to the namespace that they serve.
        runs: serves the runs' own task queue.
        others: serve the task queues of model calls whose rate is limited, and that of this process alone.
        rates: activities per second of these task queues, over all workers.
        ended: called when no call is in flight any more.
    """

    def __init__(
        self,
        client: Client,
        runs: Worker,
        others: Sequence[Worker],
        rates: Mapping[str, float],
        ended: Callable[[], Awaitable[None]],
    ) -> None:
        self._client = client
        self._workers = (*others, runs)
        self._rates = rates
        self._ended = ended

    async def __aenter__(self) -> Self:
        """Sets the rates on the server and starts the workers."""
        for queue, rate in self._rates.items():
            await limit_rate(self._client, queue, rate)
        for worker in self._workers:
            await worker.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shuts the workers down at the same time, as calls in flight may end in each of them."""
        ends = [worker.__aexit__(kind, error, trace) for worker in self._workers]
        outcomes = await asyncio.gather(*ends, return_exceptions=True)
        await self._ended()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
