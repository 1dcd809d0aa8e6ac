"""The command that runs the measurements in order."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import (
    concurrent_runs,
    endless,
    fan_out,
    growth,
    machine,
    overhead,
    own_agents,
    plan,
    recovery,
    report,
    waiting,
)
from benchmarks.figure import Figure
from benchmarks.plan import Plan
from benchmarks.rig import CONCURRENT_RUNS, Rig

CONCURRENT_TURNS = 5  # of each concurrent run


PARTS: dict[str, Callable[[Rig, Plan], Awaitable[list[Figure]]]] = {
    "overhead": lambda rig, wanted: overhead.measure(rig, wanted.pairs),
    "growth": lambda rig, wanted: growth.measure(rig, wanted.lengths, wanted.bare_lengths),
    "tools": lambda rig, wanted: fan_out.measure(rig, pairs=wanted.fan_outs, turns=wanted.fan_out_turns),
    "recovery": lambda rig, wanted: recovery.measure(
        rig, kills=wanted.kills, latency=wanted.kill_latency, turns_after=wanted.turns_after_kill
    ),
    "concurrent": lambda rig, wanted: concurrent_runs.measure(
        rig, repeats=wanted.concurrent_repeats, runs=wanted.concurrent_runs, turns=CONCURRENT_TURNS
    ),
    "waiting": lambda rig, wanted: waiting.measure(rig, runs=wanted.waiting_runs, wake_ups=wanted.wake_ups),
    "own": lambda rig, wanted: own_agents.measure(
        rig, pairs=wanted.own_pairs, turns=wanted.own_turns, starts=wanted.own_starts
    ),
    "endless": lambda rig, wanted: endless.measure(rig, turns=wanted.endless_turns),
}
"""The measurements, in order."""
USUAL = tuple(part for part in PARTS if part != "endless")
"""The parts that are measured if none is named; `endless` alone takes as long as all others."""


async def measure(rig: Rig, wanted: Plan, parts: Sequence[str] = USUAL) -> list[Figure]:
    """Takes the measurements of these parts."""
    rig.report("warming up")
    await rig.pairs(1, turns=wanted.warm_up)
    return [figure for part in parts for figure in await PARTS[part](rig, wanted)]


async def run(wanted: Plan, parts: Sequence[str], file: Path | None) -> None:
    """Starts everything, measures, stops everything, and reports."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel, asyncio.current_task())
    started = time.monotonic()

    def progress(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr)

    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        async with Rig.open(Path(folder), progress) as rig:
            facts = machine.describe(rig.stack.temporal.version if rig.stack.temporal else None)
            figures = await measure(rig, wanted, parts)
    facts["MAX_CONCURRENT_AGENTS"] = str(CONCURRENT_RUNS)
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
        prog="python benchmarks/turn_cost.py",
        description="Measures what a turn of an agent run costs, compared with a bare Temporal workflow.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, under a minute")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to this file, as JSON")
    parser.add_argument("--only", nargs="+", metavar="PART", choices=PARTS, help=f"some of: {', '.join(PARTS)}")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(run(plan.QUICK if options.quick else plan.FULL, options.only or USUAL, options.json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped, with all processes of the benchmark", file=sys.stderr)
        return 130
    return 0
