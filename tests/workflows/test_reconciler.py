"""The reconciler: runs that were terminated from outside get their actual end in the mirror."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from holdfast import Agent, RunHandle, tool
from holdfast.errors import ErrorType, RunNotFound
from holdfast.events import RUNS
from holdfast.ops.doctor import Reconciler, RunFinder, Verdict, Verifier
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunStatus, RunSummary
from tests.support.lab import Lab, eventually
from tests.support.switched_store import SwitchedStore
from tests.support.tiers import scaled

HOUR = 3600.0  # seconds; rounds that a test makes itself
WORKERS = scaled(3, 10)


@tool(read_only=True)
async def note(number: int) -> str:
    """Notes a number."""
    return f"noted {number}"


clerk = Agent(name="clerk", system_prompt="You note.", tools=[note])


class Ward:
    """A lab whose store can be switched off, and its reconcilers."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.store = SwitchedStore()
        self.log = TemporalRunLog(lab.client)

    def reconciler(self) -> Reconciler:
        """One more worker's, freshly started."""
        finder = RunFinder(self.lab.client, self.lab.settings.temporal_task_queue, self.store)
        return Reconciler(finder, self.store, self.log, self.lab.bus, interval=HOUR)

    async def started(self, **options: object) -> RunHandle:
        """A run that waits for the model's second answer."""
        self.lab.server.call_tools(("note", {"number": 1}))
        asked = len(self.lab.server.requests)
        run = await self.lab.holdfast.start("clerk", "Note 1.", **options)  # type: ignore[arg-type]
        await self.lab.server.wait_for_requests(asked + 1)
        self.lab.server.hold()
        await self.lab.server.wait_for_requests(asked + 2)
        return run

    async def announced(self, run: RunHandle) -> list[object]:
        """Returns the events of a run on the bus."""
        told = await self.lab.bus.read(RUNS)
        return [event.data["status"] for event in told if event.data["run_id"] == run.id]

    async def closed(self, run: RunHandle, status: RunStatus) -> None:
        """Waits until the list of closed runs has it."""

        async def listed() -> bool:
            return run.id in [found.run_id async for found in self.lab.holdfast.list(status=status)]

        await eventually(listed)

    async def row(self, run: RunHandle) -> RunSummary:
        """The run in the mirror."""
        summary = await self.store.summary(run.id)
        assert summary is not None
        return summary

    async def verdict(self, run: RunHandle) -> Verdict:
        """The doctor's word."""
        return (await Verifier(self.store, self.log).verify(run.id)).verdict


@pytest.fixture
async def ward(lab: Lab) -> AsyncIterator[Ward]:
    """What a test needs; what the model server holds back is let go in the end."""
    yield Ward(lab)
    lab.server.release()


async def test_a_terminated_run_gets_its_end_and_its_reason(ward: Ward) -> None:
    """The mirror records the end of a terminated run and the reason."""
    async with ward.lab.worker(clerk, store=ward.store):
        reconciler = ward.reconciler()
        run = await ward.started()
        assert await reconciler.round() == []
        await run.terminate("hangs in a tool")
        await ward.closed(run, RunStatus.TERMINATED)
        assert (await ward.row(run)).status == RunStatus.RUNNING
        assert await ward.verdict(run) == Verdict.DAMAGED
        assert await reconciler.round() == [run.id]
        row = await ward.row(run)
        assert row.error is not None
        assert (row.status, row.error.type, row.error.message) == (
            RunStatus.TERMINATED,
            ErrorType.TERMINATED,
            "hangs in a tool",
        )
        described = await ward.lab.client.get_workflow_handle(run.id).describe()
        assert row.finished_at == described.close_time
        assert (row.turn, row.tool_calls) == (1, 1), "what the run did is still there"
        assert await ward.verdict(run) == Verdict.HEALTHY
        assert await reconciler.round() == [], "it is done once"
        assert await ward.announced(run) == ["running", "terminated"]


async def test_entries_that_a_terminated_run_did_not_get_to_the_mirror_are_added(ward: Ward) -> None:
    """Entries that a terminated run had not mirrored are added."""
    async with ward.lab.worker(clerk, store=ward.store):
        ward.store.on = False
        run = await ward.started()
        await run.terminate("no time")
        await ward.closed(run, RunStatus.TERMINATED)
        assert await ward.store.head(run.id) is None
        reconciler = ward.reconciler()
        assert await reconciler.round() == [], "the store is unavailable"
        ward.store.on = True
        assert await reconciler.round() == [run.id], "what could not be done is done with the next round"
        assert (await ward.row(run)).status == RunStatus.TERMINATED
        assert await ward.store.entries(run.id) == await ward.lab.entries(run.id)
        assert await ward.verdict(run) == Verdict.HEALTHY


async def test_a_run_of_another_task_queue_stays_out_of_the_mirror(ward: Ward) -> None:
    """A run that was open while the store was unavailable, and has ended since, is for its own workers' mirror."""
    queue = f"{ward.lab.settings.temporal_task_queue}-other"
    request = {"agent": "clerk", "input": "Note."}
    handle = await ward.lab.client.start_workflow("AgentRun", request, id=f"{queue}-run", task_queue=queue)
    run = ward.lab.holdfast.handle(handle.id)
    reconciler = ward.reconciler()
    ward.store.on = False
    await asyncio.gather(reconciler.round(), return_exceptions=True)
    await run.terminate("it is of others")
    await ward.closed(run, RunStatus.TERMINATED)
    ward.store.on = True
    assert run.id not in await reconciler.round()
    assert await ward.store.run(run.id) is None


async def test_a_run_that_the_server_timed_out_gets_its_end(ward: Ward) -> None:
    """The mirror records the end of a run that the server timed out."""
    async with ward.lab.worker(clerk, store=ward.store):
        ward.lab.server.hold()
        queue = ward.lab.settings.temporal_task_queue
        limit = timedelta(seconds=2)
        started = await ward.lab.client.start_workflow(
            "AgentRun",
            {"agent": "clerk", "input": "Note."},
            id=f"{queue}-run",
            task_queue=queue,
            execution_timeout=limit,
        )
        run = ward.lab.holdfast.handle(started.id)
        await ward.closed(run, RunStatus.TIMED_OUT)
        assert await ward.reconciler().round() == [run.id]
        row = await ward.row(run)
        assert (row.status, row.error and row.error.type) == (RunStatus.TIMED_OUT, ErrorType.TIMED_OUT)


async def test_a_run_that_no_worker_started_gets_a_row(ward: Ward) -> None:
    """A run that was terminated before any worker started it gets a row."""
    run = await ward.lab.holdfast.start("clerk", "Note 1.")
    await run.terminate("no worker came")
    await ward.closed(run, RunStatus.TERMINATED)
    async with ward.lab.worker(clerk, store=ward.store):
        assert await ward.verdict(run) == Verdict.DAMAGED
        assert await ward.reconciler().round() == [run.id]
        row = await ward.row(run)
        assert (row.agent, row.input, row.status) == ("clerk", "Note 1.", RunStatus.TERMINATED)
        assert row.error is not None
        assert row.error.message == "no worker came"
        assert await ward.verdict(run) == Verdict.HEALTHY


async def test_a_run_that_was_deleted_while_it_was_open_gets_an_end(ward: Ward) -> None:
    """The mirror of a run whose execution was deleted says so, instead of `running` for ever."""
    async with ward.lab.worker(clerk, store=ward.store):
        run, reconciler = await ward.started(), ward.reconciler()
        assert await reconciler.round() == []
        await ward.lab.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=ward.lab.client.namespace, workflow_execution=WorkflowExecution(workflow_id=run.id)
            )
        )

        async def deleted() -> bool:
            try:
                await run.ended()
            except RunNotFound:
                return run.id not in [found.run_id async for found in ward.lab.holdfast.list(status=RunStatus.RUNNING)]
            return False

        await eventually(deleted)
        assert await reconciler.round() == [run.id], "also when it is not the first round"
        row = await ward.row(run)
        assert row.status == RunStatus.TERMINATED
        assert row.error is not None
        assert row.error.message == "its execution was deleted from Temporal"
        assert row.finished_at is not None
        assert await ward.announced(run) == ["running", "terminated"]
        assert await ward.verdict(run) == Verdict.MIRROR_ONLY
        assert await reconciler.round() == []


async def test_of_several_workers_one_does_it(ward: Ward) -> None:
    """Of several workers that reconcile at once, exactly one records the end."""
    async with ward.lab.worker(clerk, store=ward.store):
        run = await ward.started()
        await run.terminate("enough")
        await ward.closed(run, RunStatus.TERMINATED)
        found = await asyncio.gather(*(ward.reconciler().round() for _ in range(WORKERS)))
        assert sorted(found) == [*([[]] * (WORKERS - 1)), [run.id]]


async def test_runs_that_need_nothing_are_left_alone(ward: Ward) -> None:
    """A round leaves active and complete runs unchanged."""
    async with ward.lab.worker(clerk, store=ward.store):
        ward.lab.server.say("It is noted.")
        ended = await ward.lab.holdfast.run("clerk", "Note.")
        run = await ward.started()

        async def mirrored() -> bool:
            head = await ward.store.head(run.id)
            return head is not None and head.seq == (await run.status()).head

        await eventually(mirrored)
        before = await ward.row(run)
        reconciler = ward.reconciler()
        assert await reconciler.round() == []
        assert await reconciler.round() == []
        assert await ward.row(run) == before
        ward.lab.server.release()
        summary = await ward.store.summary(ended.run_id)
        assert summary is not None
        assert summary.status == RunStatus.COMPLETED


async def test_what_is_being_completed_is_left_to_that(ward: Ward) -> None:
    """A run whose mirror is catching up is left alone."""
    async with ward.lab.worker(clerk, store=ward.store):
        ward.store.on, ward.store.is_readable = False, True
        ward.lab.server.say("It is noted.")
        result = await ward.lab.holdfast.run("clerk", "Note.")
        run = ward.lab.holdfast.handle(result.run_id)
        assert await ward.log.is_catching_up(run.id)
        assert await ward.verdict(run) == Verdict.BEHIND
        assert await ward.reconciler().round() == []
        ward.store.on = True
        await ward.lab.assert_mirrored(run.id, ward.store)
        assert await ward.reconciler().round() == []


async def test_a_new_worker_finds_what_happened_while_none_was_running(ward: Ward) -> None:
    """A new worker reconciles runs that ended while no worker was running."""
    async with ward.lab.worker(clerk, store=ward.store):
        ward.lab.server.say("It is noted.")
        result = await ward.lab.holdfast.run("clerk", "Note.")
        kept = await ward.store.run(result.run_id)
        entries = await ward.store.entries(result.run_id)
        assert kept is not None
        await ward.store.delete(result.run_id)
        early = kept.summary.model_copy(update={"status": RunStatus.RUNNING, "finished_at": None})
        async for batch in ward.log.batches(result.run_id):
            await ward.store.append(batch.model_copy(update={"entries": entries[:3], "summary": early}))
        assert await ward.reconciler().round() == [result.run_id]
        assert await ward.store.run(result.run_id) == kept
        told = await ward.announced(ward.lab.holdfast.handle(result.run_id))
        assert told == ["running", "completed"], "an end that the run itself has told is not told again"


async def test_it_continues_by_itself(ward: Ward) -> None:
    """The reconciler repeats its rounds until it is cancelled."""
    finder = RunFinder(ward.lab.client, ward.lab.settings.temporal_task_queue, ward.store)
    reconciler = Reconciler(finder, ward.store, ward.log, ward.lab.bus, interval=0.05)
    async with ward.lab.worker(clerk, store=ward.store):
        run = await ward.started()
        looking = asyncio.create_task(reconciler.run())
        await run.terminate("enough")

        async def shown() -> bool:
            return (await ward.row(run)).status == RunStatus.TERMINATED

        await eventually(shown)
        looking.cancel()
        await asyncio.wait([looking])
        assert looking.cancelled()
