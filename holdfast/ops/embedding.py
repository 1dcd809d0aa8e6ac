"""A periodic task that starts the embedding of pending memories."""

from __future__ import annotations

import time

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from holdfast import names
from holdfast._util.background import repeat
from holdfast._util.logger import get_logger
from holdfast.protocol import EmbedRequest
from holdfast.storage.memory.embedding import Embedding
from holdfast.storage.memory.table import Space

log = get_logger(__name__)

INTERVAL = 2.0  # seconds between checks; each is one small read if nothing has changed
RESTART_AFTER = 60.0  # seconds until a namespace that is still pending is started again, in case its workflow has ended


def workflow_id(task_queue: str, namespace: str) -> str:
    """Returns the id of the workflow that embeds a namespace of the database behind a task queue."""
    return f"embed-memories/{task_queue}/{namespace}"


class EmbeddingWatch:
    """Starts `EmbedMemories` for each namespace with pending memories, no matter which process added them.

    Args:
        client: connected to the worker's Temporal namespace.
        task_queue: the task queue of the workflows.
        embedding: finds pending memories.
        interval: seconds between checks.
    """

    def __init__(self, client: Client, task_queue: str, embedding: Embedding, interval: float = INTERVAL) -> None:
        self._client = client
        self._task_queue = task_queue
        self._embedding = embedding
        self._interval = interval
        self._started: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Checks periodically until it is cancelled; waits while Temporal or the store is unavailable."""
        await repeat(self.check, interval=self._interval, what="looking for pending memories")

    async def check(self) -> None:
        """Starts the workflows of namespaces whose memories have become pending.

        Raises:
            StoreUnavailable: the memories cannot be read.
            RPCError: Temporal is unavailable.
        """
        for space in await self._embedding.waiting():
            if self._is_new(space):
                await self._start(space.name)
                self._started[space.name] = space.revision, time.monotonic()

    def _is_new(self, space: Space) -> bool:
        revision, moment = self._started.get(space.name, (-1, 0.0))
        return revision != space.revision or time.monotonic() - moment > RESTART_AFTER

    async def _start(self, namespace: str) -> None:
        await self._client.start_workflow(
            names.EMBED_MEMORIES,
            EmbedRequest(namespace=namespace),
            id=workflow_id(self._task_queue, namespace),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"embeds the memories of {namespace}",
        )
