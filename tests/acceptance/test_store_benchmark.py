"""The benchmark of the store: it works and counts correctly; its times are not asserted here."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import machine, report
from benchmarks.storage import server
from benchmarks.storage.plan import FULL, Plan
from benchmarks.storage.program import PARTS, main, measure

TINY = Plan(
    tasks=(1, 2),
    repeats=1,
    appends=8,
    reads=8,
    concurrent_runs=(1, 3),
    concurrent_turns=2,
    long_turns=4,
    verified=2,
    vectors=450,
    large_vectors=500,
    queries=3,
    texts=60,
    searches=2,
    payloads=(1,),
    events=3,
)
EMBEDDED = ("memory", "mem", "surrealkv", "gateway")
ENTRY_BYTES = 500  # less than any entry of a turn takes on disk


@pytest.mark.usefixtures("forked_stack")
async def test_every_figure_is_measured(tmp_path: Path) -> None:
    """The benchmark measures every figure of its plan on the current store, doctor and bus."""
    figures, temporal = await measure(tmp_path, TINY, PARTS, print)
    facts = machine.describe(temporal)
    report.write(tmp_path / "figures.json", facts, figures)
    written = json.loads((tmp_path / "figures.json").read_text())
    values = {name: figure["value"] for name, figure in written["figures"].items()}
    assert len(values) == len(figures), "two figures have one name"
    assert all(value > 0 for name, value in values.items() if not name.endswith(".missed")), values
    served = ("ws", "narrow", "http") if server.find() else ()
    for verb in ("appends", "reads"):
        kinds = {name.split(".")[1] for name in values if name.startswith(verb)} - {"ratio"}
        assert kinds == {*EMBEDDED, *served}
        ratio = values[f"{verb}.gateway.2"] / values[f"{verb}.surrealkv.2"]
        assert values[f"{verb}.ratio.gateway.2"] == pytest.approx(ratio)
    assert values["disk.worker"] * 1024 > TINY.long_turns * ENTRY_BYTES
    assert values["lag.surrealkv.3.p50"] <= values["lag.surrealkv.3.p95"]
    assert values["verify.surrealkv.quick.statements"] < values["verify.surrealkv.deep.statements"]
    assert values["vectors.450.surrealkv.recall"] == 1.0 - values["vectors.450.surrealkv.missed"] == 1.0
    screen = Console(file=io.StringIO(), width=80)
    report.show(screen, facts, figures)
    assert isinstance(screen.file, io.StringIO)
    assert all(word in screen.file.getvalue() for word in ("cores", "appends", "recall@10", "mirror lag", "entries/s"))


def test_the_full_plan_measures_what_was_asked() -> None:
    """The full plan has every size that has a target."""
    assert set(FULL.tasks) >= {1, 8, 32}
    assert set(FULL.concurrent_runs) >= {1, 20, 200}
    assert (FULL.long_turns, FULL.vectors, FULL.large_vectors, FULL.texts) == (1000, 10_000, 100_000, 5_000)
    assert set(FULL.payloads) == {3, 16}


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown part is refused with the list of parts."""
    with pytest.raises(SystemExit) as refused:
        main(["--only", "speed"])
    assert refused.value.code == 2
    complaint = capsys.readouterr().err
    assert all(part in complaint for part in PARTS)
