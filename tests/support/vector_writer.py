"""A process that fills a vector store until it is killed: `python -m tests.support.vector_writer URL`.

It prints `written` when the first vectors are acknowledged, then writes all others in one call.
"""

from __future__ import annotations

import asyncio
import sys

from holdfast.ports.retrieval import StoredVector
from holdfast.storage.persistence import open_persistence
from holdfast.storage.vectors.sample import unit_vectors

NAMESPACE, DIMENSION, SEED = "killed", 384, 11
COUNT, FIRST = 3_000, 100


def sample() -> list[StoredVector]:
    """What is written."""
    vectors = unit_vectors(COUNT, DIMENSION, seed=SEED)
    return [StoredVector(id=str(place), vector=vector, metadata={"n": place}) for place, vector in enumerate(vectors)]


async def main(url: str) -> None:
    """Writes the sample."""
    store, vectors = open_persistence(url, shared=True).vectors(NAMESPACE), sample()
    await store.upsert_many(vectors[:FIRST])
    await store.query(vectors[0].vector)
    print("written", flush=True)
    await store.upsert_many(vectors[FIRST:])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
