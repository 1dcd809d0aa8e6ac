"""The workers that poll a task queue."""

from __future__ import annotations

from collections.abc import Callable

from temporalio.client import Client

from holdfast.temporal.connection import pollers, translated_errors


def _may_run(_name: str) -> bool:
    return True


class PollingWorkers:
    """The workers of one task queue.

    Args:
        client: connected to their namespace.
        task_queue: the task queue.
        may_run: returns whether the worker of a name may be running; Temporal lists one that was killed for a while.
    """

    def __init__(self, client: Client, task_queue: str, may_run: Callable[[str], bool] = _may_run) -> None:
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
        return {poller.identity for poller in found if self._may_run(poller.identity)}
