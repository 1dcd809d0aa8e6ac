"""Approvals below: a child that waits for a person makes its parents wait, and its decision continues them."""

from __future__ import annotations

from holdfast import RunStatus, tool
from holdfast.testing import ChatToolCall, Reply
from tests.support.lab import Lab, contents
from tests.support.moments import has_status
from tests.support.trees import Cast, agent, asks, assert_replays, exists

CACHED = 100  # as in the other tests of children


@tool(approval="always")
def delete(path: str) -> str:
    """Deletes a file."""
    return f"deleted {path}"


clerk = agent("clerk", tools=[delete])
boss = agent("boss", clerk)
chief = agent("chief", boss)
deletes = Reply(tool_calls=[ChatToolCall("delete", {"path": "a.md"})])


async def test_three_levels_with_approval_below(lab: Lab) -> None:
    """The two runs above wait with the lowest one, say for what and where, and continue when it is approved there."""
    Cast(
        lab,
        chief=[asks("boss", "Clean up."), Reply("All clean.")],
        boss=[asks("clerk", "Delete a.md."), Reply("It is gone.")],
        clerk=[deletes, Reply("I deleted it.")],
    )
    async with lab.worker(chief, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("chief", "Clean up.")
        middle, leaf = await exists(lab, f"{handle.id}/1.0"), await exists(lab, f"{handle.id}/1.0/1.0")
        for run in (leaf, middle, handle):
            await has_status(run, RunStatus.WAITING)
        progress = await handle.status()
        [wait] = progress.waits_for
        assert wait.kind == "child"
        assert "delete(path=a.md)" in wait.what
        assert leaf.id in wait.what
        assert progress.deadline is None, "the clock stands still"
        [below] = wait.data["waits"]
        assert (below["kind"], below["data"]["run"]) == ("approval", leaf.id)
        [listed] = [
            run async for run in lab.holdfast.list(where="AgentWaitsFor = 'child'", root=handle.id, agent="chief")
        ]
        assert (listed.run_id, listed.status) == (handle.id, RunStatus.WAITING)
        await leaf.approve(below["data"]["call"], by="Ada")
        assert (await handle.result(60)).content == "All clean."
        assert ("tool", "deleted a.md") in contents(await lab.entries(leaf.id))
        await assert_replays(lab, handle, middle, leaf)
        for run in (handle, middle, leaf):
            await lab.assert_mirrored(run.id)


async def test_cancel_withdraws_the_approval_below(lab: Lab) -> None:
    """A cancel of the first run withdraws what the lowest one waits for, and each call has a result."""
    Cast(lab, chief=asks("boss", "Clean up."), boss=asks("clerk", "Delete a.md."), clerk=deletes)
    async with lab.worker(chief, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("chief", "Clean up.")
        await has_status(await exists(lab, handle.id), RunStatus.WAITING)
        leaf = lab.holdfast.handle(f"{handle.id}/1.0/1.0")
        await handle.cancel()
        assert (await handle.result(60)).run.status == RunStatus.CANCELLED
        entries = await lab.entries(leaf.id)
        [ended] = [entry.data["outcome"] for entry in entries if entry.kind == "wait_ended"]
        assert ended == "withdrawn"
        assert contents(entries)[-1][0] == "tool"


async def test_siblings_of_a_waiting_child_are_recorded(lab: Lab) -> None:
    """While one child waits for a person, the answer of another one is recorded; the parent waits for the first."""
    Cast(
        lab,
        boss=[
            Reply(tool_calls=[*asks("clerk", "Delete a.md.").tool_calls, *asks("aide", "?").tool_calls]),
            Reply("Ok."),
        ],
        clerk=[deletes, Reply("Deleted.")],
        aide=Reply("Noted."),
    )
    both = agent("boss", clerk, agent("aide"))
    async with lab.worker(both, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "Clean up.", approve=["all"])
        await has_status(await exists(lab, handle.id), RunStatus.WAITING)
        assert ("tool", "Noted.") in contents(await lab.entries(handle.id))
        [wait] = (await lab.holdfast.handle(f"{handle.id}/1.0").status()).waits_for
        await lab.holdfast.handle(f"{handle.id}/1.0").deny(wait.id, reason="keep it")
        assert (await handle.result(60)).content == "Ok."
