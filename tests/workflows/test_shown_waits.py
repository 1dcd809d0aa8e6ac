"""Waits of a run are shown everywhere: since when, and the command that ends the wait."""

from __future__ import annotations

from typing import Any

from temporalio.api.sdk.v1 import WorkflowMetadata

from holdfast import Agent, Notice, RunHandle, RunStatus
from tests.support.lab import Lab, eventually
from tests.support.lab_cli import command_line

talker = Agent(name="talker", system_prompt="You talk.")


async def paused(lab: Lab, **options: Any) -> RunHandle:
    """A run that Ada has paused."""
    lab.server.hold()
    run = await lab.holdfast.start("talker", "Talk.", **options)
    await lab.server.wait_for_requests(1)
    await run.pause(now=True, by="Ada")

    async def listed() -> bool:
        return [found.waits_for async for found in lab.holdfast.list(limit=1000) if found.run_id == run.id] == [
            ["resume"]
        ]

    await eventually(listed)
    return run


async def test_a_wait_is_shown_with_the_command_that_ends_it(lab: Lab) -> None:
    """All views of a paused run say what it waits for, since when, and which command ends the wait."""
    cli, here = command_line(lab), ("--where", f'TaskQueue = "{lab.settings.temporal_task_queue}"')
    async with lab.worker(talker, max_cached_workflows=10):
        run = await paused(lab)
        [wait] = (await run.status()).waits_for
        since = f"since {wait.since.astimezone():%Y-%m-%d %H:%M:%S}"
        ending = f"starter.py resume {run.id}"
        shown = await cli.run("show", run.id)
        assert "waits for" in shown.out
        assert f"paused by Ada), {since}" in shown.out
        assert ending in shown.out
        assert (await cli.run("show", run.id, "--json")).json["waits_for"][0]["ends_with"] == [["resume", run.id]]
        listed = await cli.run("list", "--status", "paused", "--agent", "talker", *here)
        assert f"{run.id} waits for someone to resume it (paused by Ada), {since}" in listed.out
        assert ending in listed.out
        metadata: WorkflowMetadata = await lab.client.get_workflow_handle(run.id).query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        assert f"- waits for **{wait.what}**, since {wait.since:%Y-%m-%d %H:%M:%S} UTC\n" in metadata.current_details
        assert f"`holdfast resume {run.id}`" in metadata.current_details
        assert "with *Send a Signal*: `resume`\n" in metadata.current_details
        async for event in run.events():
            if isinstance(event, Notice) and event.waits_for:
                assert (event.text, event.waits_for) == ("The run is paused.", [wait])
                break
        lab.server.release()
        await run.resume()
        assert (await run.result(60)).status == RunStatus.COMPLETED
    listed = await cli.run("list", *here)
    assert run.id in listed.out
    assert "waits" not in listed.out


async def test_without_a_worker_the_list_has_the_kind(lab: Lab) -> None:
    """If no worker can say more, the list names the kind of a wait, which Temporal's index has."""
    async with lab.worker(talker, max_cached_workflows=10):
        run = await paused(lab)
    queue = lab.settings.temporal_task_queue
    listed = await command_line(lab).run(
        "list", "--where", f'TaskQueue = "{queue}"', changes={"TEMPORAL_TASK_QUEUE": "x"}
    )
    assert f"{run.id} waits: resume" in listed.out
    await run.terminate("seen")


async def test_runs_are_found_by_tag(lab: Lab) -> None:
    """`list --tag` shows runs that have all the given tags."""
    async with lab.worker(talker, max_cached_workflows=10):
        run = await paused(lab, tags={"team": "it's ours", "kind": "night"})
        cli = command_line(lab)
        found = (await cli.run("list", "--tag", "team=it's ours", "--tag", "kind=night", "--json")).json
        assert [(each["run_id"], each["tags"]) for each in found] == [(run.id, ["team=it's ours", "kind=night"])]
        assert (await cli.run("list", "--tag", "team=it's ours", "--tag", "kind=day", "--json")).json == []
        assert (await cli.run("list", "--tag", "team")).code == 2
        assert (await cli.run("list", "--tag", "a=1", "--tag", "a=2")).code == 2
        await run.terminate("seen")
