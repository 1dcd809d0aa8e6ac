"""The time of what a run records, which is the same in each replay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from temporalio import workflow


@dataclass(frozen=True)
class _Pinned:
    at: int
    """Workflow time, in ns, when it was pinned."""
    moment: datetime


_pinned: WeakKeyDictionary[object, _Pinned] = WeakKeyDictionary()
"""By the workflow."""


def now() -> datetime:
    """Returns the current time, for whatever depends on time or records it.

    Behind a local activity, `workflow.now()` is not the same in each replay: a heartbeat or a query may divide the
    workflow task in which that activity runs, and a replay puts the parts together. So a time from the result of the
    activity counts until the next event.
    """
    pinned = _pinned.get(workflow.instance())
    return pinned.moment if pinned and pinned.at == workflow.time_ns() else workflow.now()


def pin(moment: datetime) -> None:
    """Makes `now` return this moment until the next event; it must come from the result of a local activity."""
    _pinned[workflow.instance()] = _Pinned(workflow.time_ns(), moment)
