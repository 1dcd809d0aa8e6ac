"""Large payloads: the time for storing and fetching them, and how often they are stored."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from benchmarks.figure import Figure
from benchmarks.storage.engines import SURREALKV, WS, Engine, Engines
from holdfast.stack.progress import Report
from holdfast.storage.payloads.chunk_store import ChunkStore

MEGABYTE = 1024 * 1024
WORDS = [f"word{number:04d}" for number in range(4096)]
JOURNEYS = (
    b'{"content": "%s", "error": null, "files": [], "seconds": 0.1}',
    b'{"run_id": "clerk-1", "base": null, "tail": [{"seq": 3, "role": "tool", "content": "%s"}]}',
    b'{"run_id": "clerk-1", "chain": "only", "entries": [{"seq": 5, "kind": "tool_result", "content": "%s"}]}',
)
"""The payloads that contain a tool's result: to the workflow, to the next model call, to the mirror."""


async def measure(engines: Engines, report: Report, *, sizes: Sequence[int], repeats: int) -> list[Figure]:
    """Stores payloads and fetches them.

    Args:
        engines: what is measured.
        report: is told how far it is.
        sizes: in megabytes.
        repeats: how often, each time with another text.
    """
    figures: list[Figure] = []
    for engine in await engines.open(SURREALKV, WS):
        for size in sizes:
            report(f"payloads of {size} MB, {engine.title}")
            figures += await _timed(engine, size, repeats)
        figures += await _journeys(engine, sizes[0])
    return figures


async def _timed(engine: Engine, size: int, repeats: int) -> list[Figure]:
    stores, fetches = [], []
    for repeat in range(repeats):
        data = text(size, f"{size} MB, {repeat}")
        started = time.perf_counter()
        claim = await ChunkStore(engine.payloads).put(data)
        stores.append(1000 * (time.perf_counter() - started))
        reader = ChunkStore(engine.payloads)  # that of another worker, with an empty cache
        started = time.perf_counter()
        fetched = await reader.get(claim)
        fetches.append(1000 * (time.perf_counter() - started))
        assert fetched == data
    name, title = f"payloads.{engine.kind}.{size}mb", f"{size} MB, {engine.title}"
    return [
        Figure.of_samples(stores, name=f"{name}.store", title=f"store {title}", unit="ms"),
        Figure.of_samples(fetches, name=f"{name}.fetch", title=f"fetch {title}", unit="ms"),
    ]


async def _journeys(engine: Engine, size: int) -> list[Figure]:
    """Returns the stored bytes, compared with one payload, if a result of some megabytes is sent three times."""
    before, result = (await engine.payloads.amount()).bytes, text(size, "journeys")
    stored = []
    for envelope in JOURNEYS:
        await ChunkStore(engine.payloads).put(envelope % result)
        stored.append((await engine.payloads.amount()).bytes - before)
    title = f"{size} MB, {engine.title}"
    return [
        Figure(
            name=f"payloads.{engine.kind}.journeys.bytes",
            title=f"three journeys of {title}",
            value=stored[-1] / MEGABYTE,
            unit="MB",
        ),
        Figure(
            name=f"payloads.{engine.kind}.journeys.ratio",
            title=f"three journeys to one of {title}",
            value=stored[-1] / stored[0],
            limit=1.2,
        ),
    ]


def text(megabytes: int, seed: str) -> bytes:
    """Returns artificial words, reproducible by seed, which compress to less than half."""
    chance = random.Random(seed)
    return " ".join(chance.choices(WORDS, k=megabytes * MEGABYTE // (len(WORDS[0]) + 1))).encode()
