"""The time until a run resumes after its worker was killed during a model call."""

from __future__ import annotations

import asyncio

from benchmarks.figure import Figure
from benchmarks.history import RunHistory
from benchmarks.rig import Rig

MAX_WAIT = 3.0  # seconds from the restart of the worker to the next model request
MAX_STALL = 1.0  # seconds of a later turn beyond the model's latency; a stall lasts two or more
KILLED_TURN = 3


async def measure(rig: Rig, *, kills: int, latency: float, turns_after: int) -> list[Figure]:
    """Kills and restarts the worker once in each run, at moments spread evenly over a model call.

    Args:
        rig: plays the runs.
        kills: number of runs.
        latency: latency of the model in seconds, during which the worker is killed.
        turns_after: number of turns after the interrupted one.
    """
    rig.report(f"kill -9 of the worker during a model call: {kills} times")
    moments = [latency * (number + 0.5) / kills for number in range(kills)]
    outcomes = [await _kill_once(rig, moment, latency, KILLED_TURN + turns_after + 1) for moment in moments]
    return [
        Figure.of_samples(
            [waited for waited, _ in outcomes],
            name="recovery.next_request",
            title="restart after kill -9 to next model request",
            unit="s",
            limit=MAX_WAIT,
        ),
        Figure.of_samples(
            [max(history.turn_seconds[KILLED_TURN:]) - latency for _, history in outcomes],
            name="recovery.longest_turn",
            title=f"longest of the {turns_after} turns after, beyond the model",
            unit="s",
            limit=MAX_STALL,
        ),
    ]


async def _kill_once(rig: Rig, moment: float, latency: float, turns: int) -> tuple[float, RunHistory]:
    """Kills the worker `moment` seconds into a model call."""
    run_id = await rig.start(turns=turns, latency=latency)
    await rig.request(run_id, KILLED_TURN)
    await asyncio.sleep(moment)
    restarted = await rig.restart_worker()
    waited = await rig.request(run_id, KILLED_TURN, after=restarted) - restarted
    return waited, await rig.finish(run_id)
