"""Agents that a script runs itself: how soon it asks its model, and what a turn costs whose tool the script serves."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from benchmarks.figure import Figure
from benchmarks.process import ROOT
from benchmarks.rig import Rig, new_id
from benchmarks.script import Script
from holdfast.settings import revealed


async def measure(rig: Rig, *, pairs: int, turns: int, starts: int) -> list[Figure]:
    """Plays runs alternately by a script and by the worker, then starts scripts with and without a running stack.

    Args:
        rig: plays the runs.
        pairs: runs of each.
        turns: of each run.
        starts: scripts with a running stack, and as many without.
    """
    rig.report(f"{pairs} × {turns} turns of an agent that a script serves, and of the worker's own")
    own, workers, warm = [], [], []
    for _ in range(pairs):
        run_id, waited = await _played(rig, turns)
        warm.append(waited)
        own.append(1000 * (await rig.finish(run_id)).typical_turn)
        workers.append(1000 * (await rig.play(turns=turns)).typical_turn)
    return [
        Figure.of_samples(own, name="own.turn", title="turn of an agent that a script serves", unit="ms"),
        Figure.of_samples(workers, name="own.worker", title="turn of an agent of the worker", unit="ms"),
        Figure.of_samples(
            [ours / theirs for ours, theirs in zip(own, workers, strict=True)],
            name="own.ratio",
            title="turn of a script's agent, to one of the worker's",
        ),
        Figure.of_samples(warm, name="own.warm", title="`python script.py` to its first model request", unit="s"),
        *await _cold_starts(rig, starts),
    ]


async def _cold_starts(rig: Rig, starts: int) -> list[Figure]:
    """Starts scripts while no stack runs."""
    if not starts:
        return []
    rig.report(f"{starts} scripts that start the stack themselves")
    waited = []
    for _ in range(starts):
        await rig.stop()
        waited.append((await _played(rig, 1))[1])
    await rig.stop()
    await rig.begin()
    return [Figure.of_samples(waited, name="own.cold", title="the same, with no stack running", unit="s")]


async def _played(rig: Rig, turns: int) -> tuple[str, float]:
    """Runs a script to its end, and returns the id of its run and the seconds until its first model request."""
    script = Script(new_id("own"), turns=turns)
    settings = rig.settings
    variables = {
        "HOLDFAST_HOME": str(settings.holdfast_home),
        "HOLDFAST_AGENTS": ",".join(settings.holdfast_agents),
        "OPENAI_API_KEY": revealed(settings.openai_api_key) or "",
        "OPENAI_BASE_URL": settings.openai_base_url or "",
        "OPENAI_MODEL": settings.openai_model or "",
        "MAX_CONCURRENT_AGENTS": str(settings.max_concurrent_agents),
        "PYTHONPATH": str(ROOT),
    }
    command = (sys.executable, "-m", "benchmarks.own_script", script.run, str(script))
    started = time.time()
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=os.environ | variables, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        waited = await rig.request(script.run, 1) - started
        assert await process.wait() == 0, "the script failed"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return script.run, waited
