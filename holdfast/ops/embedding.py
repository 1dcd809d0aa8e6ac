"""Notices memories that wait for their vectors, and has them embedded."""

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

INTERVAL = 2.0  # seconds between looks; each is one small read where nothing has changed
START_AGAIN = 60.0  # seconds after which a namespace that still waits is started again, should the workflow be gone


def workflow_id(namespace: str) -> str:
    """Id of the workflow that embeds a namespace."""
    return f"embed-memories/{namespace}"


class EmbeddingWatch:
    """Starts `EmbedMemories` for each namespace in which memories wait, whichever process added them.

    Args:
        client: connected to the namespace that is served.
        task_queue: where the workflows run.
        embedding: knows what waits.
        interval: seconds between looks.
    """

    def __init__(self, client: Client, task_queue: str, embedding: Embedding, interval: float = INTERVAL) -> None:
        self._client = client
        self._task_queue = task_queue
        self._embedding = embedding
        self._interval = interval
        self._started: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Goes on until it is cancelled; whatever is away is waited for."""
        await repeat(self.look, interval=self._interval, what="looking for memories that wait for their vectors")

    async def look(self) -> None:
        """Starts what is to be started now.

        Raises:
            StoreUnavailable: the memories cannot be read.
            RPCError: Temporal is away.
        """
        for space in await self._embedding.waiting():
            if self._is_new(space):
                await self._start(space.name)
                self._started[space.name] = space.revision, time.monotonic()

    def _is_new(self, space: Space) -> bool:
        revision, moment = self._started.get(space.name, (-1, 0.0))
        return revision != space.revision or time.monotonic() - moment > START_AGAIN

    async def _start(self, namespace: str) -> None:
        await self._client.start_workflow(
            names.EMBED_MEMORIES,
            EmbedRequest(namespace=namespace),
            id=workflow_id(namespace),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"embeds the memories of {namespace}",
        )
