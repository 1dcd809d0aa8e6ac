"""The search index: what it finds, and how long it takes, beside comparing with every vector."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.figure import Figure
from benchmarks.storage.engines import SURREALKV, WS, Engine, Engines
from holdfast.ports.retrieval import StoredVector, VectorStoreProtocol
from holdfast.stack.progress import Report
from holdfast.storage.vectors import MemoryVectorStore
from holdfast.storage.vectors.index import Index
from holdfast.storage.vectors.sample import unit_vectors
from holdfast.storage.vectors.space import Spaces

NAMESPACE = "benchmark"
DIMENSION = 384
K = 10
MAX_MISSED = 0.05
"""Of ten nearest neighbours, the share that the index may miss."""
WITHOUT_INDEX = "UPDATE $space SET nearest = NONE RETURN NONE"

Answers = list[list[str]]
"""The ids that each query gave, best first."""


async def measure(engines: Engines, report: Report, *, vectors: int, queries: int) -> list[Figure]:
    """Writes random unit vectors, the hardest that there are, builds the index, and asks.

    Args:
        engines: what is measured.
        report: is told how far it is.
        vectors: how many.
        queries: how many, one after the other.
    """
    kept = [
        StoredVector(id=f"v{number}", vector=vector)
        for number, vector in enumerate(unit_vectors(vectors, DIMENSION, seed=1))
    ]
    wanted = unit_vectors(queries, DIMENSION, seed=2)
    memory = MemoryVectorStore(NAMESPACE)
    await memory.upsert_many(kept)
    truth, times = await _ask(memory, wanted)
    title = f"{vectors:,} vectors of {DIMENSION}"
    figures = [Figure.of_samples(times, name="vectors.memory.exact", title=f"exact query, memory, {title}", unit="ms")]
    for engine in await engines.open(SURREALKV, WS):
        report(f"{title}, {engine.title}")
        figures += await _of_engine(engine, kept, wanted, truth)
    return figures


async def _of_engine(
    engine: Engine, kept: list[StoredVector], wanted: Sequence[list[float]], truth: Answers
) -> list[Figure]:
    store = engine.persistence.vectors(NAMESPACE)
    started = time.perf_counter()
    await store.upsert_many(kept)
    written = time.perf_counter() - started
    built = await _build(engine)
    found, by_index = await _ask(store, wanted)
    await engine.database.run(WITHOUT_INDEX, space=Spaces(engine.database, NAMESPACE).row)
    exact, by_comparing = await _ask(store, wanted)
    assert exact == truth
    recall = sum(len(set(ours) & set(right)) for ours, right in zip(found, truth, strict=True)) / (K * len(truth))
    name, title = f"vectors.{engine.kind}", engine.title
    return [
        Figure(name=f"{name}.write", title=f"write all, with index, {title}", value=written, unit="s"),
        Figure(name=f"{name}.build", title=f"build the index, {title}", value=built, unit="s"),
        Figure(name=f"{name}.recall", title=f"recall@{K}, {title}", value=recall),
        Figure(name=f"{name}.missed", title=f"of the nearest {K} missed, {title}", value=1 - recall, limit=MAX_MISSED),
        Figure.of_samples(by_index, name=f"{name}.query", title=f"query by the index, {title}", unit="ms"),
        Figure.of_samples(by_comparing, name=f"{name}.exact", title=f"exact query, {title}", unit="ms"),
    ]


async def _build(engine: Engine) -> float:
    """Builds the index over all vectors; gives the seconds."""
    spaces = Spaces(engine.database, NAMESPACE)
    space = await spaces.find()
    assert space is not None
    started = time.perf_counter()
    await Index(engine.database, NAMESPACE, spaces).build(space)
    return time.perf_counter() - started


async def _ask(store: VectorStoreProtocol, wanted: Sequence[list[float]]) -> tuple[Answers, list[float]]:
    """What each query gives, and the milliseconds that it takes."""
    answers, times = [], []
    for vector in wanted:
        started = time.perf_counter()
        matches = await store.query(vector, K)
        times.append(1000 * (time.perf_counter() - started))
        answers.append([match.id for match in matches])
    return answers, times
