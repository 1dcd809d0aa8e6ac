"""The children of a run, as its state has them."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.bounds import shortened
from holdfast.children import CarriedTree, ChildReport, ChildRun
from holdfast.progress import Wait
from holdfast.types import RunId, RunStatus, Usage

KEPT = 50
"""Children that a run shows and carries after they have ended; their usage is counted for good."""
SHOWN_WAITS = 5  # of what a child waits for

BUSY = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})


class Tree:
    """The runs that a run has started.

    Args:
        carried: what an earlier execution knew.
    """

    def __init__(self, carried: CarriedTree | None = None) -> None:
        before = (carried or CarriedTree()).model_copy(deep=True)
        self._before = before
        self._children: dict[RunId, ChildRun] = {child.run: child for child in before.children}
        self._ended = before.ended
        self.started = before.started
        self.tool_calls = before.tool_calls
        """Of the children that have ended, and of the runs below them."""
        self.reports = before.reports
        """Whether the parent of this run wants to be told of its end by a signal."""
        self.told = before.told
        """What the parent of this run knows, see `ParentLink`."""

    @property
    def children(self) -> list[ChildRun]:
        """The newest children, oldest first."""
        return list(self._children.values())

    def __contains__(self, run: RunId) -> bool:
        return run in self._children

    def open(self) -> Iterator[ChildRun]:
        """Yields the children that have not ended, as far as this run knows."""
        return (child for child in self.children if not child.status.is_final)

    @property
    def is_busy(self) -> bool:
        """Whether a child is running: neither waiting, nor paused, nor ended."""
        return any(child.status in BUSY for child in self._children.values())

    def add(self, child: ChildRun) -> None:
        """Adds a child that has been started."""
        self._children[child.run] = child
        self.started += 1
        ended = [each for each in self._children.values() if each.taken]
        for old in ended[: max(len(ended) - KEPT, 0)]:
            del self._children[old.run]
            self._ended += old.usage

    def discard(self, child: ChildRun) -> None:
        """Removes a child that was added and that no call has asked."""
        del self._children[child.run]
        self.started -= 1

    def asked_by(self, turn: int, call: str) -> ChildRun | None:
        """Returns the child that a call has asked and whose answer it does not have yet."""
        found = (child for child in self._children.values() if (child.turn, child.call) == (turn, call))
        return next((child for child in found if not child.taken), None)

    def take(self, report: ChildReport) -> ChildRun | None:
        """Takes note of a report, and returns the child; `None` if it changes nothing."""
        child = self._children.get(report.run)
        if child is None or child.status.is_final:
            return None
        child.status, child.output, child.error = report.status, report.output, report.error
        if report.snapshots:
            child.snapshots = report.snapshots
        if report.usage != Usage():  # a child that was terminated does not report what it has used
            child.usage = report.usage
        if child.status.is_final:
            self.tool_calls += report.tool_calls
        return child

    def usage(self, own: Usage) -> Usage | None:
        """Returns what the run and its children have used; `None` if it has started none.

        Args:
            own: what its own model calls have used.
        """
        if not self.started:
            return None
        return sum((child.usage for child in self._children.values()), own + self._ended)

    def carry(self) -> CarriedTree:
        """Returns what the next execution needs."""
        return CarriedTree(
            **(self._before.model_extra or {}),
            children=self.children,
            ended=self._ended,
            tool_calls=self.tool_calls,
            started=self.started,
            reports=self.reports,
            told=self.told,
        )


def wait_id(child: RunId) -> str:
    """Returns the id of the wait for a child that waits itself."""
    return f"child:{child}"


def wait_for(child: ChildRun, report: ChildReport) -> Wait:
    """Returns the wait for a child that waits itself, which names what ends the wait."""
    waits = report.waits[:SHOWN_WAITS]
    what = ", ".join(f"{wait.what} in run {wait.data.get('run', child.run)}" for wait in waits)
    if report.status == RunStatus.PAUSED or not what:
        what = f"run {child.run}, which is {report.status}"
    return Wait(
        id=wait_id(child.run),
        kind="child",
        since=min((wait.since for wait in waits), default=child.started_at),
        what=shortened(what, 500),
        data={"run": child.run, "agent": child.agent, "waits": [wait.model_dump(mode="json") for wait in waits]},
    )


def leaves(run: RunId, waits: list[Wait]) -> list[Wait]:
    """Returns what a run and its children wait for, each with the run that waits, in which it can be ended."""
    found = []
    for wait in waits:
        if wait.kind != "child":
            kept = {name: value for name, value in wait.data.items() if name in ("call", "tool", "limit")}
            found.append(wait.model_copy(update={"data": {**kept, "run": run}}))
            continue
        below = [Wait.model_validate(each) for each in wait.data.get("waits", [])]
        found += below or [wait.model_copy(update={"data": {"run": wait.data.get("run", run)}})]
    return found[:SHOWN_WAITS]
