"""Bulk commands: one operation on all runs that match a condition."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType

from holdfast import Agent, RunNotFound
from holdfast.arguments import checked_id
from holdfast.cli.commands.rerun import new_run_id
from holdfast.ops.bulk import BulkJob
from holdfast.temporal.list_filter import explain
from holdfast.temporal.visibility import command
from tests.support.lab import Lab, eventually
from tests.support.lab_cli import command_line
from tests.support.tiers import scaled

STARTED_AT_ONCE = 50  # runs; of thousands, the server would not answer the last requests in time


async def waiting_runs(lab: Lab, number: int) -> tuple[str, list[str]]:
    """Starts runs that wait for a worker, and returns the condition that selects them, and their ids."""
    agent = f"waiter-{uuid.uuid4().hex[:8]}"
    ids = [f"{agent}-{index}" for index in range(number)]
    for first in range(0, number, STARTED_AT_ONCE):
        some = ids[first : first + STARTED_AT_ONCE]
        await asyncio.gather(*(lab.holdfast.start(agent, "Wait.", id=run_id) for run_id in some))
    where = f'AgentName = "{agent}"'

    async def listed() -> bool:
        return (await lab.client.count_workflows(where)).count == number

    await eventually(listed)
    return where, ids


async def times(lab: Lab, run_id: str, kind: EventType.ValueType) -> int:
    """How many events of a kind the history of a run has."""
    history = await lab.client.get_workflow_handle(run_id).fetch_history()
    return [event.event_type for event in history.events].count(kind)


async def test_bulk_resumes_after_kill(lab: Lab) -> None:
    """A bulk command that is killed in the middle continues with `--resume`: every run is treated, and each once."""
    where, ids = await waiting_runs(lab, scaled(150, 2000))
    _, others = await waiting_runs(lab, 1)
    cli = command_line(lab)
    folder = lab.settings.holdfast_home / "bulk"
    with cli.start("terminate", "--where", where, "--reason", "wrong prompt", "--yes") as process:

        async def under_way() -> bool:
            assert process.poll() is None, "it ended before it could be killed"
            return any(path.read_text().count('"outcome"') > len(ids) // 10 for path in folder.glob("*.jsonl"))

        await eventually(under_way)
        process.kill()
    [file] = folder.iterdir()
    done = [line for line in file.read_text().splitlines() if '"outcome"' in line]
    assert len(ids) // 10 < len(done) < len(ids)
    resumed = await cli.run("terminate", "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["found"] == len(ids)
    assert resumed.json["failures"] == []
    recorded = [json.loads(line)["run"] for line in file.read_text().splitlines() if '"outcome"' in line]
    assert sorted(recorded) == sorted(ids)
    for run_id in ids[:: len(ids) // 10]:
        assert await times(lab, run_id, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED) == 1
    assert {await lab.holdfast.handle(run_id).ended() for run_id in ids} == {"terminated"}
    assert await lab.holdfast.handle(others[0]).ended() is None
    again = await cli.run("terminate", "--resume")
    assert (again.code, again.out) == (2, "")
    assert "no `terminate` of many runs was interrupted" in again.err
    await lab.holdfast.handle(others[0]).terminate("seen")


async def test_each_failure_is_reported_and_can_be_retried(lab: Lab, tmp_path: Path) -> None:
    """Runs that cannot be treated are named with the reason, the others are treated, and `--resume` retries them."""
    where, ids = await waiting_runs(lab, 3)
    cli, file = command_line(lab), tmp_path / "ids.jsonl"
    shown = await cli.run("cancel", "--where", where, "--dry-run", "--json")
    assert (shown.json["found"], sorted(shown.json["runs"])) == (3, ids)
    refused = await cli.run("cancel", "--where", where, "--ids-file", str(file))
    assert (refused.code, file.exists()) == (2, False)
    assert "use --yes to cancel 3 runs, or --dry-run" in refused.err
    done = await cli.run("cancel", "--where", where, "--ids-file", str(file), "--yes")
    assert (done.code, done.out) == (0, "3 runs: 3 asked to stop\n")
    assert await times(lab, ids[0], EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED) == 1
    forget_outcomes(file)
    file.write_text(file.read_text().replace(ids[1], "nonesuch"))
    failed = await cli.run("cancel", "--resume", "--ids-file", str(file), "--json")
    assert (failed.code, failed.json["outcomes"]) == (1, {"done": 2, "ended": 0, "failed": 1})
    assert failed.json["failures"] == [{"run_id": "nonesuch", "reason": "no run 'nonesuch'; see `list`"}]
    for run_id in ids:
        await lab.holdfast.handle(run_id).terminate("seen")
    ended = await cli.run("cancel", "--resume", "--ids-file", str(file))
    assert (ended.code, "nonesuch: no run 'nonesuch'" in ended.out) == (1, True)
    other = await cli.run("terminate", "--resume", "--ids-file", str(file))
    assert other.code == 2
    assert "is of `cancel` in namespace 'default'" in other.err
    with pytest.raises(RunNotFound):
        await lab.holdfast.handle("nonesuch").cancel()


WRONG_FILTERS = {
    "AgentStatus = failed": 'put the value failed in quotes: "failed"',
    "AgentNam = 'x'": "there is no search attribute 'AgentNam'; did you mean AgentName? runs have AgentName, ",
    "AgentName = 'x": "Temporal cannot read it near 'x'; an example: AgentName = ",
    "AgentName = ": "Temporal cannot read it; an example: AgentName = ",
    "AgentName = 'x') OR (AgentName = 'y'": "Temporal cannot read it; an example: ",
    "StartTime > 'yesterday'": "'yesterday' is not a time; write one as 2026-11-26T08:30:00Z",
    "AgentName LIKE 'x%'": "there is no operator 'like'; there are = != ",
    "AgentName = 'x' ORDER BY StartTime": "it may have conditions only, not 'ORDER BY'",
    "ExecutionStatus = 'Nope'": "invalid ExecutionStatus value 'Nope'",
    " ": "--where is empty; an example: ",
}


async def test_wrong_conditions_are_explained(lab: Lab) -> None:
    """What is wrong with a condition is said in plain words, before anything is done."""
    for where, says in WRONG_FILTERS.items():
        with pytest.raises(Exception, match=r"^--where ") as raised:
            _ = [run async for run in lab.holdfast.list(where=where)]
        assert says in str(raised.value)
    done = await command_line(lab).run("cancel", "--where", "AgentStatus = failed", "--yes")
    assert (done.code, done.out) == (2, "")
    assert 'put the value failed in quotes: "failed"' in done.err


async def test_a_missing_attribute_of_ours_is_named_with_the_command_that_adds_it(lab: Lab) -> None:
    """A condition on a search attribute that the namespace lacks leads to the command that adds it."""
    said = "invalid query: invalid expression: column name 'AgentTurn' is not a valid search attribute"
    to_add = command(["AgentTurn"], "default", lab.settings.temporal_address or "")
    assert to_add.endswith(" --name AgentTurn --type Int")
    assert explain(said, lab.client).endswith(f"\n  {to_add}")


async def test_runs_are_listed_by_a_condition(lab: Lab) -> None:
    """`list --where` shows the runs that match, together with the other options."""
    where, ids = await waiting_runs(lab, 2)
    cli = command_line(lab)
    found = await cli.run("list", "--where", f'{where} AND WorkflowId != "{ids[0]}" OR AgentTurn > 999999', "--json")
    assert [run["run_id"] for run in found.json] == ids[1:]
    assert (await cli.run("list", "--where", where, "--agent", "other")).err == "no run matches\n"
    for run_id in ids:
        await lab.holdfast.handle(run_id).terminate("seen")


def forget_outcomes(file: Path) -> None:
    """Leaves only the ids of a job, as if it had been killed before it recorded anything."""
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if '"outcome"' not in line))


talker = Agent(name="talker", system_prompt="You talk.")


async def listed_as(lab: Lab, where: str, number: int) -> None:
    """Waits until Temporal's index has this many runs that match."""

    async def are_listed() -> bool:
        return (await lab.client.count_workflows(where)).count == number

    await eventually(are_listed)


async def test_many_runs_are_paused_resumed_and_run_again(lab: Lab) -> None:
    """`pause`, `resume` and `rerun` treat each run that matches once, also if a job is done a second time."""
    cli, tag = command_line(lab), uuid.uuid4().hex
    where = f'AgentTags = "batch={tag}"'
    lab.server.hold()
    async with lab.worker(talker, max_cached_workflows=10):
        runs = [await lab.holdfast.start("talker", "Talk.", tags={"batch": tag}) for _ in range(3)]
        await lab.server.wait_for_requests(3)
        await listed_as(lab, f'{where} AND AgentStatus = "running"', 3)
        paused = await cli.run("pause", "--where", where, "--now", "--yes", "--json")
        assert (paused.code, paused.json["outcomes"]) == (0, {"done": 3, "ended": 0, "failed": 0})
        await listed_as(lab, f'{where} AND AgentStatus = "paused"', 3)
        again = await cli.run("pause", "--where", where, "--yes")
        assert (again.code, again.err) == (0, f"no run to pause matches {where}\n")
        forget_outcomes(Path(paused.json["ids_file"]))
        repeated = await cli.run("pause", "--resume", "--json")
        assert repeated.json["outcomes"] == {"done": 3, "ended": 0, "failed": 0}
        lab.server.release()
        resumed = await cli.run("resume", "--where", where, "--yes")
        assert resumed.out == "3 runs: 3 resumed\n"
        for run in runs:
            assert (await run.result(60)).success
            commands = [entry.data["command"] for entry in await lab.entries(run.id) if entry.kind == "command"]
            assert commands == ["pause", "resume"]
        await listed_as(lab, f'{where} AND AgentStatus = "completed"', 3)
        started = await cli.run("rerun", "--where", where, "--yes", "--json")
        assert started.json["outcomes"] == {"done": 3, "ended": 0, "failed": 0}
        forget_outcomes(Path(started.json["ids_file"]))
        assert (await cli.run("rerun", "--resume")).out == "3 runs: 3 started again\n"
        await listed_as(lab, where, 6)
        job = BulkJob.read(Path(started.json["ids_file"]))
        for run in runs:
            assert (await lab.holdfast.handle(new_run_id(run.id, job)).result(60)).success


def test_each_run_is_run_again_under_an_id_of_its_own(tmp_path: Path) -> None:
    """Ids that are long, or that another program has chosen, lead to different ids that are accepted."""
    job = BulkJob.freeze(tmp_path / "job", verb="rerun", where="", namespace="default", runs=[], options={})
    origins = ["run-1", "a" * 900, "a" * 901, "run 1", "run/1", "/", "\N{SNOWMAN}", "run-1-"]
    ids = {new_run_id(origin, job) for origin in origins}
    assert len(ids) == len(origins)
    assert all(checked_id(each) == each for each in ids)
