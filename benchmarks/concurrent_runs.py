"""Many concurrent runs: turns per second, and the worker's memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.figure import Figure
from benchmarks.rig import Rig, processor_seconds

MAX_RATIO = 1.18  # of the turns per second of the bare workflow to ours: at least 0.85 of its pace
MAX_MEMORY_RATIO = 1.3


async def measure(rig: Rig, *, repeats: int, runs: int, turns: int) -> list[Figure]:
    """Plays many concurrent runs on a new worker, alternating with as many of the bare workflow."""
    rig.report(f"{repeats} × {runs} concurrent runs of {turns} turns, ours and bare")
    await rig.restart_worker()
    fresh = rig.worker_memory()

    async def played(start: Callable[..., Awaitable[str]], worker: int) -> tuple[float, float]:
        """Returns turns per second, and the milliseconds of processor time that a turn costs the worker."""

        async def play() -> None:
            await rig.wait(await start(turns=turns))

        started, used = time.perf_counter(), processor_seconds(worker)
        await asyncio.gather(*(play() for _ in range(runs)))
        used = processor_seconds(worker) - used
        return runs * turns / (time.perf_counter() - started), 1000 * used / (runs * turns)

    ours, bare, our_processor, bare_processor, memory = [], [], [], [], []
    for _ in range(repeats):
        pace, processor = await played(rig.start, rig.worker.pid)
        ours.append(pace)
        our_processor.append(processor)
        memory.append(rig.worker_memory())
        pace, processor = await played(rig.start_bare, rig.bare_worker)
        bare.append(pace)
        bare_processor.append(processor)
    what = f"{runs} concurrent runs × {turns} turns"
    return [
        Figure.of_samples(ours, name="concurrent.ours", title=what, unit="turns/s"),
        Figure.of_samples(bare, name="concurrent.bare", title=f"{what}, bare", unit="turns/s"),
        Figure.of_samples(
            [their / our for our, their in zip(ours, bare, strict=True)],
            name="concurrent.ratio",
            title=f"{what}, bare to ours",
            limit=MAX_RATIO,
        ),
        *_processor(our_processor, bare_processor),
        Figure(
            name="memory.ratio",
            title="memory of the worker, ours to bare",
            value=rig.worker_memory() / rig.bare_memory(),
            limit=MAX_MEMORY_RATIO,
        ),
        Figure(name="memory.fresh", title="memory of a new worker", value=fresh, unit="MB"),
        Figure(
            name="memory.first",
            title="memory after the first concurrent runs",
            value=memory[0],
            unit="MB",
        ),
        Figure(name="memory.last", title="memory after the last concurrent runs", value=memory[-1], unit="MB"),
    ]


def _processor(ours: list[float], bare: list[float]) -> list[Figure]:
    """Returns figures that other load on the machine hardly affects, for use on a busy one."""
    title = "processor time of the worker for one of these turns"
    return [
        Figure.of_samples(ours, name="concurrent.processor.ours", title=title, unit="ms"),
        Figure.of_samples(bare, name="concurrent.processor.bare", title=f"{title}, bare", unit="ms"),
        Figure.of_samples(
            [our / their for our, their in zip(ours, bare, strict=True)],
            name="concurrent.processor.ratio",
            title=f"{title}, ours to bare",
        ),
    ]
