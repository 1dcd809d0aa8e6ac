"""Text memory: adding and searching, compared with plain SQLite FTS5 in the same run."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Sequence
from itertools import accumulate
from statistics import median

from typing_extensions import override

from benchmarks.figure import Figure
from benchmarks.storage.engines import MEMORY, SURREALKV, WS, Engine, Engines
from holdfast.ports.retrieval import Embedder
from holdfast.scripted.hashing import hashed_vector
from holdfast.stack.progress import Report
from holdfast.storage.memory import Embedding, TextMemory

NAMESPACE = "benchmark"
CHARS = 300  # of a text
VOCABULARY = 8_000  # words, of which the n-th is 1/n as frequent as the first
DIMENSION = 384
QUERY_WORDS = (2, 5, 12)
CONCURRENT_SEARCHES = 100

MAX_ADD = 10.0  # seconds
MAX_DISK = 40.0  # megabytes, with vectors
MAX_SEARCH = 10.0  # milliseconds
MAX_CONCURRENT = 1.0  # seconds


class HashingEmbedder(Embedder):
    """Computes vectors in this process, so that the benchmark does not measure a model."""

    name = f"hashing@{DIMENSION}"

    @override
    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [hashed_vector(text, DIMENSION) for text in texts]

    async def close(self) -> None:
        """Does nothing: it has no resources."""


async def measure(engines: Engines, report: Report, *, texts: int, searches: int) -> list[Figure]:
    """Adds texts of made-up words, embeds them, and searches.

    Args:
        engines: opens the engines to measure.
        report: receives progress messages.
        texts: number of texts.
        searches: number of sequential searches per query length, all different.
    """
    chance = random.Random(1)
    written = _texts(chance, texts)
    queries = {count: [_query(chance, written, count) for _ in range(searches)] for count in QUERY_WORDS}
    concurrent = [_query(chance, written, 4) for _ in range(CONCURRENT_SEARCHES)]
    title = f"{texts:,} texts of {CHARS} characters"
    figures, plain = _by_fts5(written, queries, title)
    for engine in await engines.open(MEMORY, SURREALKV, WS):
        report(f"{title}, {engine.title}")
        figures += await _of_engine(engine, f"{title}, {engine.title}", written, queries, concurrent, plain)
    return figures


async def _of_engine(  # noqa: PLR0917 - one measurement and its baseline
    engine: Engine,
    title: str,
    written: list[str],
    queries: dict[int, list[str]],
    concurrent: list[str],
    plain: dict[int, float],
) -> list[Figure]:
    name, is_judged = f"memory.{engine.kind}", engine.kind != WS
    table = engine.persistence.memories.table
    memories = TextMemory.of(table, engine.persistence.vectors, HashingEmbedder())
    before = engine.size() if engine.kind == SURREALKV else 0
    started = time.perf_counter()
    await memories.add_many(NAMESPACE, written)
    added = time.perf_counter() - started
    embedding = Embedding(memories)
    while await embedding.next_batch(NAMESPACE):
        pass
    embedded = time.perf_counter() - started - added
    figures = [
        Figure(name=f"{name}.add", title=f"{title}: add", value=added, unit="s", limit=MAX_ADD if is_judged else None),
        Figure(name=f"{name}.embed", title=f"{title}: store vectors", value=embedded, unit="s"),
    ]
    if engine.kind == SURREALKV:
        size = (engine.size() - before) / 2**20
        figures.append(Figure(name=f"{name}.disk", title=f"{title}: on disk", value=size, unit="MB", limit=MAX_DISK))
    await memories.search("warm up", namespaces=[NAMESPACE])
    limit = MAX_SEARCH if is_judged else None
    for count, asked in queries.items():
        times = [await _timed(memories, query) for query in asked]
        said = f"{title}: search, {count} words"
        figures.append(Figure.of_samples(times, name=f"{name}.search.{count}", title=said, unit="ms", limit=limit))
        ratio = median(times) / plain[count]
        figures.append(Figure(name=f"{name}.ratio.{count}", title=f"{said}, to FTS5", value=ratio))
    started = time.perf_counter()
    await asyncio.gather(*(_timed(memories, query) for query in concurrent))
    at_once = time.perf_counter() - started
    limit = MAX_CONCURRENT if is_judged else None
    said = f"{title}: {CONCURRENT_SEARCHES} concurrent searches"
    return [*figures, Figure(name=f"{name}.at_once", title=said, value=at_once, unit="s", limit=limit)]


async def _timed(memories: TextMemory, query: str) -> float:
    started = time.perf_counter()
    assert await memories.search(query, namespaces=[NAMESPACE])
    return 1000 * (time.perf_counter() - started)


def _by_fts5(written: list[str], queries: dict[int, list[str]], title: str) -> tuple[list[Figure], dict[int, float]]:
    """Measures the same texts and queries with an in-memory FTS5 index alone: no rows, stems or vectors."""
    with sqlite3.connect(":memory:") as index:
        index.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
        started = time.perf_counter()
        index.executemany("INSERT INTO words VALUES (?)", [(text,) for text in written])
        added = time.perf_counter() - started
        figures = [Figure(name="memory.fts5.add", title=f"{title}: add, FTS5 alone", value=added, unit="s")]
        medians = {}
        for count, asked in queries.items():
            times = []
            for query in asked:
                started = time.perf_counter()
                words = " OR ".join(f'"{word}"' for word in query.split())
                index.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT 50", (words,)).fetchall()
                times.append(1000 * (time.perf_counter() - started))
            said = f"{title}: search, {count} words, FTS5 alone"
            figures.append(Figure.of_samples(times, name=f"memory.fts5.search.{count}", title=said, unit="ms"))
            medians[count] = median(times)
    index.close()
    return figures, medians


def _texts(chance: random.Random, count: int) -> list[str]:
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 10))) for _ in range(VOCABULARY)]
    weights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    return [" ".join(chance.choices(words, cum_weights=weights, k=CHARS // 3))[:CHARS].strip() for _ in range(count)]


def _query(chance: random.Random, written: list[str], words: int) -> str:
    """Returns words of one text, including frequent ones."""
    return " ".join(chance.sample(chance.choice(written).split(), words))
