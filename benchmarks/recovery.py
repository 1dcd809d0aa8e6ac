"""How soon a run goes on after its worker was killed in the middle of a model call."""

from __future__ import annotations

import asyncio

from benchmarks.figure import Figure
from benchmarks.history import RunHistory
from benchmarks.rig import Rig

MAX_WAIT = 3.0  # seconds from the worker's new start to the next model request
MAX_STALL = 1.0  # seconds beyond the model's latency that a turn after it may take; a stall lasts two and more
KILLED_TURN = 3


async def measure(rig: Rig, *, kills: int, latency: float, turns_after: int) -> list[Figure]:
    """Kills the worker and starts it again at once, once in each run, at moments spread evenly over the call.

    Args:
        rig: what is killed.
        kills: how often.
        latency: of the model, in seconds; the kill falls into it.
        turns_after: turns that a run takes after the one that was hit.
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
    """Kills `moment` seconds into a model call."""
    run_id = await rig.start(turns=turns, latency=latency)
    await rig.request(run_id, KILLED_TURN)
    await asyncio.sleep(moment)
    restarted = await rig.restart_worker()
    waited = await rig.request(run_id, KILLED_TURN, after=restarted) - restarted
    return waited, await rig.finish(run_id)
