"""The progress of a run: what it is doing, and what it waits for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from holdfast.budgets import Amount, Budget
from holdfast.call_progress import ToolProgress
from holdfast.types import ChildProgress, RunSummary, Text, Tolerant

WaitKind = Literal["approval", "question", "budget", "call", "message", "timer", "event", "resume", "child", "process"]
"""What a run waits for: a person's decision, answer, budget, or word on a call whose outcome is unknown; a message, a
time, an event, to be resumed, a child run that waits itself, or the process that has the agent's code."""

FOR_PEOPLE = frozenset({"approval", "question", "budget", "call"})
"""The kinds of waits that only a person ends."""


class Wait(Tolerant):
    """Something that a run waits for, other than a worker."""

    id: str
    """Unique in the run, and the same after it continued as new."""
    kind: WaitKind | str
    since: AwareDatetime
    """Workflow time."""
    until: AwareDatetime | None = None
    """When the wait ends by itself; `None` means never."""
    what: Text
    """For people: `your approval of delete_file(path=a.md)`."""
    data: dict[str, Any] = {}
    """Further facts, by kind."""
    began: int | None = None
    """Number of the entry that records it; `None` in that entry, and of a wait that none records."""


class RunProgress(RunSummary):
    """The result of the `status` query."""

    doing: str = ""
    """What the run is doing now, in a few words."""
    next_model: Annotated[str | None, Field(exclude_if=lambda model: model is None)] = None
    """The model that the next call will probably ask, if another agent has taken over since the last reply; `None`
    means that of the last reply."""
    waits_for: list[Wait] = []
    """What it waits for, oldest first."""
    children: list[ChildProgress] = []
    """The newest runs that it has started, oldest first."""
    progress: Annotated[list[ToolProgress], Field(exclude_if=lambda calls: not calls)] = []
    """What the calls in flight report of how far they are; if none does, what the last one reported at its end."""
    max_turns: int | None = None
    """`None` means not known yet."""
    budget: Budget | None = None
    """The budget of the run and its children; `None` means that it has none, or that it is not known yet."""
    spent: Amount | None = None
    """What counts towards it; `None` without a budget."""
    held: Amount | None = None
    """What is set aside for children; likewise."""
    deadline: AwareDatetime | None = None
    """When the run's time limit expires if it keeps running; `None` means not known yet, or its clock stands still."""
    output: Text = ""
    files: list[str] = []
    workspace: str | None = None
    """The tools' folder on the worker's machine; `None` means not known yet."""
    head: int = -1
    """Seq of the newest entry; -1 means none."""
    digest: str = ""
    """Digest of the newest entry, which covers all earlier ones; empty means none."""
    mirrored: int = -1
    """Newest entry that the mirror has acknowledged; -1 means none."""
