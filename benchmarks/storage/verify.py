"""The cost of verifying the mirror of a healthy run."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figure import Figure
from benchmarks.rig import Rig
from benchmarks.storage.engines import SURREALKV, WS, Engine, Engines
from holdfast.ops.doctor import Rebuilder, Verdict, Verifier
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunId


async def measure(rig: Rig, engines: Engines, *, runs: int, turns: int) -> list[Figure]:
    """Plays runs and verifies each: its head only, and every row.

    Args:
        rig: plays them.
        engines: what is measured.
        runs: how many.
        turns: of each.
    """
    rig.report(f"{runs} runs of {turns} turns, to be verified")
    played = await asyncio.gather(*(rig.start(turns=turns) for _ in range(runs)))
    await asyncio.gather(*map(rig.wait, played))
    run_log = TemporalRunLog(rig.client)
    figures: list[Figure] = []
    for engine in await engines.open(SURREALKV, WS):
        rig.report(f"verify, {engine.title}")
        rebuilder = Rebuilder(engine.persistence.store, run_log)
        for run in played:
            await rebuilder.rebuild(run)
        for quick in (True, False):
            verifier = Verifier(engine.persistence.store, run_log, quick=quick)
            figures += await _looked_at(engine, verifier, played, "quick" if quick else "deep")
    return figures


async def _looked_at(engine: Engine, verifier: Verifier, runs: list[RunId], how: str) -> list[Figure]:
    statements, times = [], []
    for run in runs:
        before, started = engine.statements, time.perf_counter()
        report = await verifier.verify(run)
        times.append(1000 * (time.perf_counter() - started))
        statements.append(engine.statements - before)
        assert report.verdict == Verdict.HEALTHY, report
    name, title = f"verify.{engine.kind}.{how}", f"verify a run, {how}, {engine.title}"
    return [
        Figure.of_samples(statements, name=f"{name}.statements", title=title, unit="statements"),
        Figure.of_samples(times, name=f"{name}.ms", title=title, unit="ms"),
    ]
