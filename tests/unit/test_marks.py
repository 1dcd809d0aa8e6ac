"""Checkpoints that tools make, and results that they pin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.agents.marks import MAX_CHECKPOINTS
from holdfast.agents.tool import ToolContext
from holdfast.checkpoints import MAX_DATA_BYTES
from holdfast.types import ToolResult


@dataclass
class Progress:
    step: int


class Hostile:
    """A value that nothing can be done with."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def context() -> ToolContext:
    return ToolContext(run_id="r", call_id="call_1", agent="a", turn=3, attempt=1, workspace=Path("/w"))


def test_a_result_carries_what_its_call_has_made() -> None:
    """Checkpoints have ids of their own, also if they share a name; a copied context is of the same call."""
    call = context()
    ids = [call.create_checkpoint("half", Progress(1)), replace(call, attempt=2).create_checkpoint("half")]
    call.pin_result()
    assert ids == ["3.call_1.1", "3.call_1.2"]
    result = call.marks.mark(ToolResult(content="ok"))
    assert [(each.id, each.name, each.data) for each in result.checkpoints] == [
        ("3.call_1.1", "half", {"step": 1}),
        ("3.call_1.2", "half", None),
    ]
    assert result.pinned
    assert context().marks.mark(ToolResult()).model_fields_set == set()


@pytest.mark.parametrize(
    "data",
    [Hostile(), {"value": Hostile()}, float("nan"), "x" * MAX_DATA_BYTES, lambda: None],
    ids=lambda data: str(type(data)),
)
def test_data_that_cannot_be_stored_never_raises(data: Any) -> None:
    """A checkpoint whose data cannot be stored is made without it, and the worker is told why."""
    call = context()
    call.create_checkpoint("half", data)
    [made] = call.marks.checkpoints
    assert made.data is None
    assert len(call.marks.faults) == 1


def test_there_are_limits() -> None:
    """One call makes a bounded number of checkpoints, with a bounded amount of data; its name may be anything."""
    call = context()
    for _ in range(MAX_CHECKPOINTS + 5):
        call.create_checkpoint("\ud800" * 5_000, "x" * (MAX_DATA_BYTES // 2))
    assert len(call.marks.checkpoints) == MAX_CHECKPOINTS
    assert all(len(made.name) <= 1_000 for made in call.marks.checkpoints)
    assert 0 < sum(len(str(made.data or "")) for made in call.marks.checkpoints) <= 4 * MAX_DATA_BYTES
