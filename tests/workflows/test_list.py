"""The list of runs: their order, and the same figures as everywhere else."""

from __future__ import annotations

from holdfast import Agent, ListedRun
from tests.support.lab import Lab, eventually

talker = Agent(name="talker", system_prompt="You talk.")


async def listed(lab: Lab, ids: set[str]) -> list[ListedRun]:
    """These runs as the list has them, once Temporal's index shows that they have ended."""
    found: list[ListedRun] = []

    async def is_up_to_date() -> bool:
        found[:] = [run async for run in lab.holdfast.list(limit=1000) if run.run_id in ids]
        return len(found) == len(ids) and all(run.finished_at for run in found)

    await eventually(is_up_to_date)
    return found


async def test_the_newest_run_is_first(lab: Lab) -> None:
    """Runs are listed by their start, not by their end, and a limit leaves the newest ones."""
    queue = lab.settings.temporal_task_queue
    first, second, third = (f"{queue}-{number}" for number in range(3))
    lab.server.hold()
    async with lab.worker(talker):
        handles = []
        for run_id in (first, second, third):
            handles.append(await lab.holdfast.start("talker", "Say it.", id=run_id))
            await handles[-1].status()  # it has begun
        await handles[1].cancel()
        await handles[1].result()
        await handles[0].cancel()
        await handles[0].result()
        ended = await listed(lab, {first, second})
        assert [run.run_id for run in ended] == [second, first]
        ours = f'WorkflowId STARTS_WITH "{queue}-"'  # other tests start runs on the same server
        assert [run.run_id async for run in lab.holdfast.list(where=ours)] == [third, second, first]
        assert [run.run_id async for run in lab.holdfast.list(where=ours, limit=1)] == [third]
        assert [run.run_id async for run in lab.holdfast.list(where=ours, limit=2)] == [third, second]
        await handles[2].cancel()
        await handles[2].result()


async def test_a_list_agrees_with_the_result(lab: Lab) -> None:
    """The tokens, the times and the status of a run that has ended are those of its result."""
    lab.server.say("It is said.")
    async with lab.worker(talker):
        result = (await lab.holdfast.run("talker", "Say it.")).run
        [run] = await listed(lab, {result.run_id})
        status = await lab.holdfast.handle(result.run_id).status()
    assert run.tokens == result.usage.total_tokens == status.usage.total_tokens > 0
    assert (run.started_at, run.finished_at) == (result.started_at, result.finished_at)
    assert (run.started_at, run.finished_at) == (status.started_at, status.finished_at)
    assert (run.status, run.agent, run.turn, run.input) == (result.status, "talker", result.turns, "Say it.")
