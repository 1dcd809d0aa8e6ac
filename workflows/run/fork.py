"""The beginning of a fork: the log of another run up to a point, and a copy of its workspace."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.fork_of import ForkOf, ForkPage, ForkPageRequest, WorkspaceCopy
    from holdfast.forking import Prefix
    from holdfast.protocol import Plan
    from holdfast.types import Entry, ForkedFrom
    from holdfast.workflows import options
    from holdfast.workflows.calls import call_activity


async def read_prefix(fork: ForkOf, limit: timedelta, *, session: bool) -> Prefix:
    """Reads the log that a fork begins with, in pages.

    Args:
        fork: the run, and the point.
        limit: the time limit of the fork.
        session: whether the fork is a session.

    Raises:
        ActivityError: the fork is refused, or the log cannot be read in time.
    """
    entries: list[Entry] = []
    while True:
        page = await call_activity(
            names.FORK_PAGE,
            ForkPageRequest(fork=fork, after=len(entries) - 1, session=session),
            ForkPage,
            summary=f"the log of {fork.run} from entry {len(entries)} on",
            **options.fork(limit),
        )
        entries += page.entries
        if not page.entries or entries[-1].seq >= page.seq:
            origin = ForkedFrom(run=fork.run, seq=page.seq, digest=page.digest, turn=entries[-1].turn)
            return Prefix(origin, entries)
        fork = fork.model_copy(update={"seq": page.seq, "digest": page.digest})  # an open run may have gone on


async def copy_workspace(prefix: Prefix, plan: Plan, limit: timedelta) -> None:
    """Copies the workspace of the run that is forked, as it was at the point if it is kept, else as it is now.

    Args:
        prefix: the log of the run.
        plan: names the workspace of the fork.
        limit: the time limit of the fork.

    Raises:
        ActivityError: the workspace is too large, or cannot be read.
    """
    request = prefix.entries[0].data.get("request", {})
    copy = WorkspaceCopy(
        run=prefix.origin.run,
        source=None if request.get("own_workspace") else request.get("workspace"),
        target=plan.workspace,
        wrote=any(entry.data.get("files") for entry in prefix.entries if entry.kind == "tool_result"),
    )
    if plan.own_workspace is not None:
        copy.own_workspace = plan.own_workspace
        if (point := prefix.workspace).heads:
            copy.kept = point
    summary = f"the workspace of {prefix.origin.run}"
    await call_activity(names.FORK_WORKSPACE, copy, int, summary=summary, **options.fork(limit))
