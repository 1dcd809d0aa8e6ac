"""Vectors: recall and latency of searches, compared with brute force by numpy in the same run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.figure import Figure
from benchmarks.storage.engines import GATEWAY, MEMORY, SURREALKV, WS, Engine, Engines
from holdfast.ports.retrieval import StoredVector, VectorStoreProtocol
from holdfast.stack.progress import Report

NAMESPACE = "benchmark"
DIMENSION = 384
K = 10
BATCH = 10_000  # vectors written in one call
FILTERS: dict[str, dict[str, Any]] = {"half": {"parity": 1}, "hundredth": {"hundredth": 7}}

MAX_LOAD, MAX_REOPEN = 4.0, 1.0  # seconds, of 10,000 vectors
MAX_QUERY, MAX_LARGE_QUERY = 3.0, 25.0  # milliseconds, of 10,000 vectors and of 100,000
MAX_MISSED = {WS: 0.05}
"""The share of the ten nearest that a server's index may miss; all other engines are exact."""

Floats = npt.NDArray[np.float32]
Answers = list[set[str]]
"""The ids that each query returned."""


async def measure(engines: Engines, report: Report, *, vectors: int, large: int, queries: int) -> list[Figure]:
    """Writes random vectors, the hardest case for an index, and queries the nearest neighbors of others.

    Args:
        engines: opens the engines to measure.
        report: receives progress messages.
        vectors: number of vectors.
        large: number of vectors in the second part, without a server; 0 skips it.
        queries: number of sequential queries.
    """
    wanted = _random(queries, seed=2)
    figures = await _of_count(engines, report, vectors, wanted, (MEMORY, SURREALKV, GATEWAY, WS), MAX_QUERY)
    if large:
        figures += await _of_count(engines, report, large, wanted, (MEMORY, SURREALKV), MAX_LARGE_QUERY)
    return figures


async def _of_count(  # noqa: PLR0917 - one part of the measurement
    engines: Engines, report: Report, count: int, wanted: Floats, kinds: Sequence[str], limit: float
) -> list[Figure]:
    stored = _random(count, seed=1)
    units = stored / np.linalg.norm(stored, axis=1)[:, np.newaxis]
    plain, truth = _by_numpy(units, wanted)
    name, title = f"vectors.{count}", f"{count:,} vectors of {DIMENSION}"
    figures = [Figure.of_samples(plain, name=f"{name}.numpy.query", title=f"{title}: query, numpy", unit="ms")]
    for engine in await engines.open(*kinds):
        report(f"{title}, {engine.title}")
        figures += await _Measured(engine, f"{name}.{engine.kind}", f"{title}, {engine.title}", limit).figures(
            stored, wanted, truth, median(plain)
        )
    return figures


class _Measured:
    """One engine with one number of vectors."""

    def __init__(self, engine: Engine, name: str, title: str, limit: float) -> None:
        self._engine, self._name, self._title = engine, name, title
        self._limit = None if engine.kind == WS else limit
        self._is_small = limit == MAX_QUERY

    async def figures(self, stored: Floats, wanted: Floats, truth: Answers, plain: float) -> list[Figure]:
        store = self._engine.persistence.vectors(NAMESPACE)
        loaded = await _load(store, stored)
        is_judged = self._is_small and self._limit is not None
        figures = [self._figure("load", loaded, "s", MAX_LOAD if is_judged else None)]
        if self._engine.kind == SURREALKV:
            figures.append(self._figure("disk", self._engine.size() / 2**20, "MB"))
            started = time.perf_counter()
            await self._engine.persistence.close()
            await store.query(wanted[0].tolist(), K)
            limit = MAX_REOPEN if is_judged else None
            figures.append(self._figure("reopen", time.perf_counter() - started, "s", limit))
        times, found = await _ask(store, wanted)
        missed = 1 - sum(len(ours & right) for ours, right in zip(found, truth, strict=True)) / (K * len(truth))
        figures += [
            self._figure("recall", 1 - missed),
            self._figure("missed", missed, limit=MAX_MISSED.get(self._engine.kind, 0.0)),
            self._samples("query", times),
            self._figure("ratio", median(times) / plain),
        ]
        for name, filter_ in FILTERS.items():
            figures.append(self._samples(f"query.{name}", (await _ask(store, wanted, filter_))[0]))
        return figures

    def _figure(self, part: str, value: float, unit: str = "", limit: float | None = None) -> Figure:
        return Figure(
            name=f"{self._name}.{part}", title=f"{self._title}: {TITLES[part]}", value=value, unit=unit, limit=limit
        )

    def _samples(self, part: str, times: list[float]) -> Figure:
        title = f"{self._title}: {TITLES[part]}"
        return Figure.of_samples(times, name=f"{self._name}.{part}", title=title, unit="ms", limit=self._limit)


TITLES = {
    "load": "write all",
    "disk": "on disk",
    "reopen": "reopen and first query",
    "recall": f"recall@{K}",
    "missed": f"of the nearest {K} missed",
    "query": "query",
    "ratio": "query, to numpy",
    "query.half": "query, filter matches a half",
    "query.hundredth": "query, filter matches a hundredth",
}


def _random(count: int, *, seed: int) -> Floats:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)


def _by_numpy(units: Floats, wanted: Floats) -> tuple[list[float], Answers]:
    """Returns the milliseconds of each query by brute force, and the nearest vectors."""
    times, answers = [], []
    for query in wanted:
        started = time.perf_counter()
        nearest = np.argpartition(-(units @ query), K)[:K]
        times.append(1000 * (time.perf_counter() - started))
        answers.append({f"v{place}" for place in nearest})
    return times, answers


async def _load(store: VectorStoreProtocol, stored: Floats) -> float:
    """Returns the seconds to write all vectors, without the time to generate them."""
    seconds = 0.0
    for batch in _batches(stored):
        started = time.perf_counter()
        await store.upsert_many(batch)
        seconds += time.perf_counter() - started
    return seconds


def _batches(stored: Floats) -> Iterator[list[StoredVector]]:
    for first in range(0, len(stored), BATCH):
        yield [
            StoredVector(
                id=f"v{place}", vector=vector.tolist(), metadata={"parity": place % 2, "hundredth": place % 100}
            )
            for place, vector in enumerate(stored[first : first + BATCH], start=first)
        ]


async def _ask(
    store: VectorStoreProtocol, wanted: Floats, filter_: dict[str, Any] | None = None
) -> tuple[list[float], Answers]:
    """Returns the milliseconds of each query, and its matches, after one warm-up query."""
    times, answers = [], []
    await store.query(wanted[0].tolist(), K, filter=filter_)
    for query in wanted.tolist():
        started = time.perf_counter()
        matches = await store.query(query, K, filter=filter_)
        times.append(1000 * (time.perf_counter() - started))
        answers.append({match.id for match in matches})
    return times, answers
