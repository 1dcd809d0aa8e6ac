"""One run without an end: time, bytes and memory of a turn after thousands of others."""

from __future__ import annotations

from statistics import median

from benchmarks.figure import Figure
from benchmarks.rig import Rig

PARTS = 10  # of the run that are compared
FLAT = 1.2


async def measure(rig: Rig, *, turns: int) -> list[Figure]:
    """Plays one run whose context is compacted again and again, and whose history is renewed."""
    rig.report(f"one run of {turns:,} turns")
    before, disk = rig.worker_memory(), rig.store_size()
    history = await rig.play(turns=turns, counted=True)
    size = turns // PARTS
    paces = [1000 * median(history.turn_seconds[start : start + size]) for start in range(0, size * PARTS, size)]
    return [
        Figure(name="endless.first", title=f"a turn in the first tenth of {turns:,}", value=paces[0], unit="ms"),
        Figure(name="endless.last", title="a turn in the last tenth", value=paces[-1], unit="ms"),
        Figure(
            name="endless.flat",
            title="slowest tenth to the fastest",
            value=max(paces) / min(paces),
            limit=FLAT,
            samples=tuple(paces),
        ),
        Figure(name="endless.bytes", title="history of a turn", value=history.size / turns, unit="B"),
        Figure(
            name="endless.memory", title="growth of the worker's memory", value=rig.worker_memory() - before, unit="MB"
        ),
        Figure(name="endless.disk", title="store on disk, a turn", value=(rig.store_size() - disk) / turns, unit="B"),
    ]
