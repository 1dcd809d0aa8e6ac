"""The benchmark of runs: it works and counts correctly; its times are not asserted here."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import machine, report
from benchmarks.plan import FULL, Plan
from benchmarks.program import measure
from benchmarks.rig import Rig

TINY = Plan(
    pairs={0.0: (1, 3), 0.05: (1, 2)},
    lengths={3: 1, 22: 1},
    bare_lengths={3: 1},
    fan_outs=1,
    kills=1,
    concurrent_repeats=1,
    concurrent_runs=3,
    warm_up=2,
    fan_out_turns=2,
    kill_latency=0.2,
    turns_after_kill=1,
    waiting_runs=4,
    wake_ups=2,
    own_pairs=1,
    own_turns=2,
    own_starts=0,
)
BARE_EVENTS = 12  # of a turn: two activities and two workflow tasks, three events each


@pytest.mark.usefixtures("forked_stack")
async def test_every_figure_is_measured(tmp_path: Path) -> None:
    """The benchmark measures every figure of its plan on the current worker, stack and history."""
    async with Rig.open(tmp_path, print) as rig:
        facts = machine.describe(rig.stack.temporal.version if rig.stack.temporal else None)
        figures = await measure(rig, TINY)
    report.write(tmp_path / "figures.json", facts, figures)
    written = json.loads((tmp_path / "figures.json").read_text())
    values = {name: figure["value"] for name, figure in written["figures"].items()}
    assert len(values) == len(figures), "two figures have one name"
    assert all(value > 0 for name, value in values.items() if name != "tools.above_bare"), values
    assert values["history.bare.3.events"] == BARE_EVENTS
    assert BARE_EVENTS <= values["history.22.events"] <= 13
    assert values["history.22.bytes"] > values["history.bare.3.bytes"] > 2048, "a turn has a tool result of 2 KB"
    assert values["tools.ratio"] < 1, "tools of one turn run side by side"
    assert values["overhead.0ms.ratio"] == values["overhead.0ms.ours"] / values["overhead.0ms.bare"]
    screen = Console(file=io.StringIO(), width=80)
    report.show(screen, facts, figures)
    assert isinstance(screen.file, io.StringIO)
    assert all(word in screen.file.getvalue() for word in ("cores", "Temporal server", "kill -9", "turns/s"))


def test_the_full_plan_measures_what_has_a_target() -> None:
    """The full plan has every length and latency that has a target."""
    assert set(FULL.pairs) == {0.0, 0.5}
    assert set(FULL.lengths) >= {10, 100, 200, 1000}
