"""Recorded states of a run's workspace, and which of them count. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import Field

from holdfast.bounds import Count, Text
from holdfast.data import Tolerant

EMPTY = ""
"""The tree of a folder without files."""

FIGURES = {"files", "bytes", "left_out", "more_left_out"}


class WorkspaceSnapshot(Tolerant):
    """The state of a workspace after a call of a tool."""

    tree: Text | None = None
    """Reference of its tree in the store; `None` means that the state could not be recorded."""
    base: Text = EMPTY
    """The tree from which the call began."""
    line: Text = ""
    """The copy of the workspace on one machine, from one restoration to the next."""
    number: Count = 0
    """Number of the snapshot in its line; a higher one includes the lower ones."""
    after: list[Text] = []
    """The snapshots of other lines that it includes, as in `ref`."""
    restored: Count = 0
    """As in `WorkspacePoint`."""
    files: Count = 0
    bytes: Count = 0
    """Of all files."""
    left_out: list[Text] = []
    """The first files that are not in the tree, each with the reason."""
    more_left_out: Count = 0
    """Number of further ones."""
    fault: Text | None = None
    """Why the state could not be recorded."""

    @property
    def ref(self) -> str:
        """Its identity."""
        return f"{self.line}.{self.number}"

    @property
    def bare(self) -> Self:
        """The snapshot without its figures."""
        return type(self).model_validate(self.model_dump(exclude_unset=True, exclude=FIGURES))

    def includes(self, other: WorkspaceSnapshot) -> bool:
        """Whether the copy that it was taken of had the changes of another one."""
        return (self.line == other.line and self.number >= other.number) or other.ref in self.after


class WorkspacePoint(Tolerant):
    """The state of a workspace at a point of the run: the snapshots that none of the others includes."""

    heads: list[WorkspaceSnapshot] = []
    """In the order in which they were recorded. There are several if calls ran on several machines at the same time."""
    restored: Count = 0
    """`seq` of the entry by which the run last went back; 0 means that it never did."""
    initial: Text | None = Field(default=None, exclude_if=lambda tree: tree is None)
    """The tree from which the first call of the run began; `None` means that nothing was recorded yet."""

    def with_snapshots(self, snapshots: Iterable[WorkspaceSnapshot]) -> Self:
        """Returns the state after a call has returned these snapshots."""
        heads, initial = list(self.heads), self.initial
        for new in snapshots:
            if new.tree is None or new.restored != self.restored:
                continue
            initial = new.base if initial is None else initial
            if not any(head.includes(new) for head in heads):
                heads = [head for head in heads if not new.includes(head)] + [new]
        return self.model_copy(update={"heads": heads, "initial": initial})

    def gone_back(self, then: WorkspacePoint, seq: int) -> Self:
        """Returns the state after the run has gone back to a point.

        Args:
            then: the state at the point.
            seq: of the entry by which it went back.
        """
        initial = then.initial if self.initial is None else self.initial
        heads = then.heads
        if not heads and initial is not None:
            heads = [WorkspaceSnapshot(tree=initial, base=initial)]
        return self.model_copy(update={"heads": heads, "restored": seq, "initial": initial})
