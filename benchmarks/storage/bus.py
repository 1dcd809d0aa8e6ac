"""The time until a subscriber receives a published event."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figure import Figure
from benchmarks.storage.engines import GATEWAY, MEMORY, SURREALKV, WS, Engine, Engines
from holdfast.ports import EventBus
from holdfast.stack.progress import Report

TOPIC = "run/benchmark"


async def measure(engines: Engines, report: Report, *, events: int) -> list[Figure]:
    """Publishes events one after the other, stored ones and ephemeral ones, to one subscriber.

    Args:
        engines: what is measured.
        report: is told how far it is.
        events: of each kind.
    """
    figures: list[Figure] = []
    for engine in await engines.open(MEMORY, SURREALKV, GATEWAY, WS):
        report(f"event bus, {engine.title}")
        for ephemeral in (False, True):
            waits = await _waits(engine.persistence.bus, events, ephemeral=ephemeral)
            figures.append(_figure(engine, waits, "ephemeral" if ephemeral else "stored"))
    return figures


async def _waits(bus: EventBus, events: int, *, ephemeral: bool) -> list[float]:
    """Returns the milliseconds from the call that publishes an event until the subscriber has it."""
    arrived: asyncio.Queue[float] = asyncio.Queue()
    ready = asyncio.Event()

    async def subscribe() -> None:
        async for event in bus.subscribe(TOPIC, after=offset - 1):
            if event.data.get("warm"):
                ready.set()
            elif event.ephemeral == ephemeral:
                arrived.put_nowait(time.perf_counter())

    offset = await bus.publish(TOPIC, {"warm": True})
    subscriber = asyncio.create_task(subscribe())
    await ready.wait()
    waits = []
    for number in range(events):
        published = time.perf_counter()
        offset = await bus.publish(TOPIC, {"number": number}, ephemeral=ephemeral)
        waits.append(1000 * (await arrived.get() - published))
    subscriber.cancel()
    await asyncio.wait([subscriber])
    await bus.discard(TOPIC, offset)
    return waits


def _figure(engine: Engine, waits: list[float], kind: str) -> Figure:
    return Figure.of_samples(waits, name=f"bus.{engine.kind}.{kind}", title=f"{kind} event, {engine.title}", unit="ms")
