"""Text memory in real processes: memories survive `kill -9` of a worker."""

from __future__ import annotations

from pathlib import Path

from holdfast.scripted.embedding_wire import hashed_vectors
from holdfast.storage.memory import TextMemory
from holdfast.storage.memory.pending import BATCH
from holdfast.storage.persistence import open_persistence
from holdfast.testing import EmbeddingFault
from tests.support.lab import eventually
from tests.support.processes import Site
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

COUNT = 150  # memories: three batches


async def test_a_worker_killed_while_it_embeds(site: Site, tmp_path: Path) -> None:
    """After a kill during embedding, the next worker embeds the rest; finished batches are not paid for twice."""
    folder = tmp_path / "surreal"
    folder.mkdir()
    with SurrealServer.find(folder) as surreal:
        site.environment |= {
            "SURREALDB_URL": surreal.url,
            "SURREALDB_USERNAME": USERNAME,
            "SURREALDB_PASSWORD": PASSWORD,
            "EMBEDDING_MODEL": "test",
            "EMBEDDING_DIM": "16",
        }
        site.server.embed = lambda request: (
            hashed_vectors(request) if len(site.server.embedding_requests) == 1 else EmbeddingFault(hang=True)
        )
        persistence = open_persistence(surreal.url, username=USERNAME, password=PASSWORD)
        memories = persistence.memories
        await memories.add_many("agent/killed", [f"note number {number}" for number in range(COUNT)])
        first = await site.worker()
        await eventually(lambda: _has_asked(site, 2))
        first.kill()
        site.server.embed = hashed_vectors
        second = await site.worker()
        await eventually(lambda: _embedded(memories, COUNT))
        assert await second.stop() == 0
        await persistence.close()
    asked = [len(request.body["input"]) for request in site.server.embedding_requests]
    assert asked == [BATCH, BATCH, BATCH, COUNT - 2 * BATCH]  # the batch in flight alone goes twice


async def _has_asked(site: Site, times: int) -> bool:
    return len(site.server.embedding_requests) >= times


async def _embedded(memories: TextMemory, wanted: int) -> bool:
    listed = await memories.list("agent/killed", limit=1000)
    return sum(memory.embedded_by == "test@16" for memory in listed) >= wanted
