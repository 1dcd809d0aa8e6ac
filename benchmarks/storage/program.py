"""The command that runs the measurements in order."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from benchmarks import machine, report
from benchmarks.figure import Figure
from benchmarks.rig import Rig
from benchmarks.storage import bus, lag, long_run, memory, payloads, plan, server, throughput, vectors, verify
from benchmarks.storage.engines import Engines
from benchmarks.storage.plan import Plan
from holdfast.stack.progress import Report

WITHOUT_RUNS = ("throughput", "vectors", "memory", "payloads", "bus")
WITH_RUNS = ("lag", "disk", "verify")
"""Parts that need a Temporal server and a worker."""
PARTS = (*WITHOUT_RUNS, *WITH_RUNS)


async def measure(
    folder: Path, wanted: Plan, parts: Sequence[str], progress: Report
) -> tuple[list[Figure], str | None]:
    """Starts what the parts need, measures, and stops everything.

    Args:
        folder: for everything that is written.
        wanted: how much is measured.
        parts: of PARTS.
        progress: is told how far it is.

    Returns:
        The figures, and the version of the Temporal server, if there was one.
    """
    temporal = None
    async with AsyncExitStack() as exits:
        program, served = server.find(), folder / "server"
        served.mkdir()
        running = await exits.enter_async_context(server.running_server(program, served)) if program else None
        engines = Engines(folder, running, exits)
        figures = [figure for part in parts for figure in await _part(part, engines, wanted, progress)]
        if any(part in WITH_RUNS for part in parts):
            (folder / "stack").mkdir()
            async with Rig.open(folder / "stack", progress) as rig:
                temporal = rig.stack.temporal.version if rig.stack.temporal else None
                figures += [figure for part in parts for figure in await _part_with_runs(part, rig, engines, wanted)]
    return figures, temporal


async def _part(part: str, engines: Engines, wanted: Plan, progress: Report) -> list[Figure]:
    match part:
        case "throughput":
            return await throughput.measure(
                engines,
                progress,
                repeats=wanted.repeats,
                tasks=wanted.tasks,
                appends=wanted.appends,
                reads=wanted.reads,
            )
        case "vectors":
            return await vectors.measure(
                engines, progress, vectors=wanted.vectors, large=wanted.large_vectors, queries=wanted.queries
            )
        case "memory":
            return await memory.measure(engines, progress, texts=wanted.texts, searches=wanted.searches)
        case "payloads":
            return await payloads.measure(engines, progress, sizes=wanted.payloads, repeats=wanted.repeats)
        case "bus":
            return await bus.measure(engines, progress, events=wanted.events)
    return []


async def _part_with_runs(part: str, rig: Rig, engines: Engines, wanted: Plan) -> list[Figure]:
    match part:
        case "lag":
            return await lag.measure(
                rig, engines.server, concurrent_runs=wanted.concurrent_runs, turns=wanted.concurrent_turns
            )
        case "disk":
            return await long_run.measure(rig, engines, turns=wanted.long_turns, repeats=wanted.repeats)
        case "verify":
            return await verify.measure(rig, engines, runs=wanted.verified, turns=wanted.concurrent_turns)
    return []


async def run(wanted: Plan, parts: Sequence[str], file: Path | None) -> None:
    """Measures, and reports."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel, asyncio.current_task())
    started = time.monotonic()

    def progress(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr)

    facts = machine.describe(None)
    facts["SurrealDB server"] = await server.version(server.find())
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        figures, temporal = await measure(Path(folder), wanted, parts, progress)
    facts["Temporal server"] = temporal or "not used"
    facts["took"] = f"{time.monotonic() - started:.0f} s"
    report.show(Console(), facts, figures)
    if file:
        report.write(file, facts, figures)


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task:
        task.cancel()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/store.py",
        description="Measures the store: its engines side by side, the mirror, vectors, text memory, payloads, events.",
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, about a minute")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", metavar="FILE", type=Path, help="where the figures are written as JSON too")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(run(plan.QUICK if options.quick else plan.FULL, options.only, options.json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped, with all processes of the benchmark", file=sys.stderr)
        return 130
    return 0
