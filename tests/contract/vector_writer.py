"""A process that fills a vector store until it is killed: `python -m tests.contract.vector_writer URL`.

It prints the number of each vector that was acknowledged, and `building` when an index is due.
"""

from __future__ import annotations

import asyncio
import sys

from holdfast.ports.retrieval import StoredVector
from holdfast.storage.persistence import open_persistence
from holdfast.storage.vectors.index import PATIENCE
from holdfast.storage.vectors.sample import unit_vectors

NAMESPACE, DIMENSION, SEED = "killed", 64, 11
COUNT = 5 * PATIENCE


async def main(url: str) -> None:
    """Writes the sample, in portions of a hundred."""
    store = open_persistence(url).vectors(NAMESPACE)
    vectors = unit_vectors(COUNT, DIMENSION, seed=SEED)
    for first in range(0, COUNT, 100):
        if first >= PATIENCE:
            print("building", flush=True)
        some = vectors[first : first + 100]
        await store.upsert_many(StoredVector(id=str(first + place), vector=some[place]) for place in range(100))
        print(first + 99, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
