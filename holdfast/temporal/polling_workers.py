"""The workers that poll a task queue."""

from __future__ import annotations

from collections.abc import Callable

from temporalio.client import Client

from holdfast.errors import WorkerUnavailable
from holdfast.temporal.connection import pollers, translated_errors


class PollingWorkers:
    """The workers of one task queue.

    Args:
        client: connected to their namespace.
        task_queue: the task queue.
        may_run: returns whether the worker of a name may be running, as Temporal lists one that was killed for a while;
            `None` means that all may.
    """

    def __init__(self, client: Client, task_queue: str, may_run: Callable[[str], bool] | None = None) -> None:
        self._client = client
        self._may_run = may_run
        self.task_queue = task_queue

    async def names(self) -> set[str]:
        """Returns their names in Temporal.

        Raises:
            TemporalUnavailable: the server is unavailable.
        """
        with translated_errors():
            found = await pollers(self._client, self.task_queue)
        return {poller.identity for poller in found if self._may_run is None or self._may_run(poller.identity)}

    async def check(self) -> None:
        """Checks that there is one.

        Raises:
            WorkerUnavailable: there is none.
            TemporalUnavailable: the server is unavailable.
        """
        if not await self.names():
            raise WorkerUnavailable(
                f"no worker polls task queue {self.task_queue!r}; `holdfast up` or `holdfast worker` starts one"
            )
