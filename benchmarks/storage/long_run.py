"""A long run: its size on disk, and the speed of rebuilding its mirror."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import groupby

from temporalio.client import Client

from benchmarks.figure import Figure
from benchmarks.rig import Rig
from benchmarks.storage.engines import SURREALKV, WS, Engine, Engines
from holdfast.ops.doctor import Rebuilder
from holdfast.ports import Store
from holdfast.temporal.replayed import BULK_QUERY_TIMEOUTS, ReplayedLog
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import Entry, EntryBatch, MirroredRun, RunId

KILOBYTE = 1024

Rebuild = Callable[[Store, TemporalRunLog, RunId], Awaitable[None]]


async def measure(rig: Rig, engines: Engines, *, turns: int, repeats: int) -> list[Figure]:
    """Plays one run, then writes its mirror to each engine: turn by turn as a worker does, and rebuilt from history.

    Args:
        rig: plays it.
        engines: what is measured.
        turns: of the run.
        repeats: how often its mirror is rebuilt in each way.
    """
    rig.report(f"a run of {turns:,} turns")
    before = rig.store_size()
    run_id = await rig.start(turns=turns)
    await rig.wait(run_id)
    grown = rig.store_size() - before
    run_log = TemporalRunLog(rig.client)
    run = (await run_log.snapshot(run_id)).run
    entries = [entry async for entry in run_log.entries(run_id)]
    what = f"a run of {turns:,} turns"
    figures = [_disk("worker", f"{what}, as its worker wrote it", grown)]
    for engine in await engines.open(SURREALKV, WS):
        rig.report(f"its mirror, {engine.title}")
        figures.append(_disk(engine.kind, f"{what}, {engine.title}", await _growth(engine, run, entries)))
    figures += await _read(rig.client, run_id, repeats)
    for kind in (SURREALKV, WS):
        for way, rebuild in (("doctor", _by_doctor), ("activity", _by_activity)):
            rig.report(f"rebuilding its mirror, {kind}, {way}")
            rates = [
                len(entries) / await _seconds(engine, rebuild, run_log, run_id)
                for _ in range(repeats)
                for engine in await engines.open(kind)
            ]
            figures += _rebuilt(rates, kind, way)
    return figures


async def _growth(engine: Engine, run: MirroredRun, entries: list[Entry]) -> int:
    """Returns the bytes by which the files grow when the run is mirrored turn by turn."""
    before, previous = engine.size(), ""
    for _, turn in groupby(entries, lambda entry: entry.turn):
        some = list(turn)
        batch = EntryBatch(
            run_id=run.summary.run_id,
            chain=run.chain,
            previous_digest=previous,
            entries=some,
            summary=run.summary,
        )
        await engine.persistence.store.append(batch)
        previous = some[-1].digest
    return engine.size() - before


async def _read(client: Client, run_id: RunId, repeats: int) -> list[Figure]:
    """Measures reading the log from history, which is a part of every rebuild, and by queries of the workflow."""
    recorded, replayed = TemporalRunLog(client), ReplayedLog(client, query_timeouts=BULK_QUERY_TIMEOUTS)
    newest = (await recorded.describe(run_id)).run_id
    rates: dict[str, list[float]] = {"history": [], "replayed": []}
    for _ in range(repeats):
        rates["history"].append(await _rate(recorded.entries(run_id)))
        rates["replayed"].append(await _rate(replayed.entries(run_id, newest, -1)))
    titles = {"history": "reading the log alone", "replayed": "asking the workflow for it"}
    return [
        Figure.of_samples(rates[way], name=f"rebuild.{way}", title=title, unit="entries/s")
        for way, title in titles.items()
    ]


async def _rate(entries: AsyncIterator[Entry]) -> float:
    started, count = time.perf_counter(), 0
    async for _ in entries:
        count += 1
    return count / (time.perf_counter() - started)


async def _by_doctor(store: Store, run_log: TemporalRunLog, run_id: RunId) -> None:
    await Rebuilder(store, run_log).rebuild(run_id)


async def _by_activity(store: Store, run_log: TemporalRunLog, run_id: RunId) -> None:
    """Does what the activity `mirror.rebuild` does: it does not read the existing mirror."""
    async for batch in run_log.batches(run_id):
        await store.append(batch)


async def _seconds(engine: Engine, rebuild: Rebuild, run_log: TemporalRunLog, run_id: RunId) -> float:
    """Returns the seconds for writing the mirror into an empty database, including reading the history."""
    started = time.perf_counter()
    await rebuild(engine.persistence.store, run_log, run_id)
    return time.perf_counter() - started


def _disk(name: str, title: str, grown: int) -> Figure:
    return Figure(name=f"disk.{name}", title=f"on disk, {title}", value=grown / KILOBYTE, unit="KB")


def _rebuilt(rates: list[float], kind: str, way: str) -> list[Figure]:
    if not rates:
        return []
    words = {"doctor": "doctor rebuild", "activity": "mirror.rebuild"}[way]
    return [Figure.of_samples(rates, name=f"rebuild.{kind}.{way}", title=f"{words}, {kind}", unit="entries/s")]
