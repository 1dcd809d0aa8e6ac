"""Supervision of the local stack: what ends unasked comes back by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from holdfast.cli.stack_watch import StackWatch
from holdfast.stack import Part, down, kill, server, status, supervise
from holdfast.stack.part_locks import CLAIM_VARIABLE, PartName
from holdfast.stack.state import StateFile
from tests.support.cli import TIMEOUT
from tests.support.cli_stack import QUESTION, CliStack
from tests.support.lab import eventually
from tests.support.place import Place

SAID_WITHIN = 10.0  # seconds; it takes less than one, on a machine that is not busy
FAILS_WITHIN = 300.0  # seconds of abandoned requests; it takes 15 to 30
REPLACED = 120.0  # seconds; a server counts as failed after 20
COMEBACK = 20.0  # seconds; it takes less than one, on a machine that is not busy


async def comes_back(place: Place, name: PartName, before: Part | None, within: float = COMEBACK) -> Part:
    """Waits until another process is this part, and the supervisor has recorded how it started it."""
    assert before is not None

    async def is_back() -> bool:
        part = place.state().alive(name)
        return part is not None and part.pid != before.pid and bool(part.command)

    await eventually(is_back, within)
    return place.state().parts[name]


async def test_what_is_killed_comes_back(place: Place) -> None:
    """Worker, server and scripted model come back at their addresses, and with their environment, without a command."""
    without_model: dict[str, Any] = {"openai_api_key": None}
    stack = await place.up(worker=True, **without_model)
    environment = place.home / "environment.json"
    first = json.loads(environment.read_text())
    environment.unlink()
    for part in (stack.temporal, stack.model, stack.worker):  # a worker that starts without a server would end again
        assert part is not None
        await kill(part)
    worker = await comes_back(place, "worker", stack.worker)
    temporal = await comes_back(place, "temporal", stack.temporal)
    model = await comes_back(place, "model", stack.model)
    assert stack.temporal
    assert stack.model
    assert (temporal.address, model.address) == (stack.temporal.address, stack.model.address)
    again = await place.up(worker=True, **without_model)  # waits until all of them answer
    assert (again.worker, again.temporal, again.model) == (worker, temporal, model)
    second = json.loads(environment.read_text())
    assert {**second, CLAIM_VARIABLE: ""} == {**first, CLAIM_VARIABLE: ""}
    found = await status(place.settings(**without_model))
    assert [(part.name, part.restarts) for part in found.parts] == [("temporal", 1), ("model", 1), ("worker", 1)]
    assert found.pollers == [f"holdfast-worker-{worker.pid}@{found.pollers[0].partition('@')[2]}"]


async def abandon_requests(client: Client) -> None:
    """Makes requests with deadlines that pass meanwhile, until the server's database connection has failed."""
    service = client.workflow_service

    async def abandoned() -> None:
        deadline = timedelta(milliseconds=random.uniform(1, 60))
        with contextlib.suppress(RPCError):
            if random.random() < 1 / 2:
                question = ListWorkflowExecutionsRequest(namespace="default", page_size=200)
                await service.list_workflow_executions(question, timeout=deadline, retry=False)
            else:
                run_id = f"abandoned-{random.random()}"
                await client.start_workflow("Nothing", id=run_id, task_queue="nobody", rpc_timeout=deadline)

    async with asyncio.timeout(FAILS_WITHIN):
        while True:
            await asyncio.gather(*(abandoned() for _ in range(200)))
            try:
                await service.get_cluster_info(GetClusterInfoRequest(), timeout=timedelta(seconds=5), retry=False)
            except RPCError as error:
                if "interrupted" in error.message:
                    return


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_server_whose_database_connection_has_failed_is_replaced(place: Place) -> None:
    """A server that runs, but fails each request since clients abandoned some, is replaced, and runs resume."""
    stack = await place.up(worker=True)
    before = place.state().parts["temporal"]
    client = await Client.connect(stack.address)
    await client.start_workflow("Nothing", id="before", task_queue="later")
    await abandon_requests(client)
    await comes_back(place, "temporal", before, REPLACED)
    again = await place.up(worker=True)
    assert again.temporal
    assert again.temporal.pid != before.pid
    found = await client.get_workflow_handle("before").describe()
    assert found.status == WorkflowExecutionStatus.RUNNING
    assert "is replaced, as its database fails" in place.state().parts["supervisor"].log.read_text()


async def test_up_replaces_a_server_that_does_not_answer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` does not fail because of a server that hangs: it starts another one with the same runs."""
    stack = await place.up()
    assert stack.temporal
    client = await Client.connect(stack.address)
    await client.start_workflow("Nothing", id="before", task_queue="later")
    os.kill(stack.temporal.pid, signal.SIGSTOP)
    monkeypatch.setattr(server, "ANSWER_TIMEOUT", 1.0)
    monkeypatch.setattr(server, "RUNNING_TIMEOUT", 2.0)
    place.said.clear()
    again = await place.up()
    assert again.temporal
    assert again.temporal.pid != stack.temporal.pid
    assert place.said[0] == "restarting the Temporal server, which does not answer; runs resume automatically"
    found = await (await Client.connect(again.address)).get_workflow_handle("before").describe()
    assert found.status == WorkflowExecutionStatus.RUNNING


async def test_what_keeps_ending_is_started_ever_more_rarely(place: Place) -> None:
    """A worker that ends again and again is started again after pauses that grow, and `status` and `watch` say so."""
    stack = await place.up(worker=True)
    watch, said = StackWatch(place.home), list[str]()
    assert watch.look() == []
    (place.root / "worker.py").write_text("raise SystemExit('broken')")
    assert stack.worker
    await kill(stack.worker)

    async def is_told() -> bool:
        said.extend(watch.look())
        worker = (await status(place.settings())).parts[-1]
        return worker.state == "restarting" and "has ended 3 times" in (worker.trouble or "")

    await eventually(is_told, COMEBACK)
    assert any(f"(pid {stack.worker.pid}) has ended" in text for text in said)
    assert any("the worker has ended 2 times in " in text or "ended 3 times in " in text for text in said)
    assert stack.worker.log.read_text().count("broken") == 2


async def test_nothing_comes_back_after_down(place: Place) -> None:
    """`down` stops the supervisor first, so that nothing is started again."""
    stack = await place.up(worker=True)
    assert stack.worker
    await kill(stack.worker)
    await down(place.settings(), place.said.append)
    await asyncio.sleep(1)  # several looks of a supervisor
    assert not [name for name, part in place.state().parts.items() if part.is_alive]


async def test_the_supervisor_comes_back_with_the_next_command(place: Place) -> None:
    """A killed supervisor is replaced, and the new one can start the worker with the worker's own environment."""
    stack = await place.up(worker=True, max_concurrent_agents=3)
    await kill(place.state().parts["supervisor"])
    await supervise(place.settings(max_concurrent_agents=4))
    (place.home / "environment.json").unlink()
    assert stack.worker
    await kill(stack.worker)
    await comes_back(place, "worker", stack.worker)
    await place.up(worker=True, max_concurrent_agents=3)
    assert '"MAX_CONCURRENT_AGENTS": "3"' in (place.home / "environment.json").read_text()


def test_watching_a_run_survives_the_worker(cli: CliStack) -> None:
    """`watch` says at once that the worker has ended, that it is back, and that its call is repeated."""
    run_id = cli.start_held()
    worker = StateFile(cli.home).read().parts["worker"]
    with cli.start("watch", run_id) as watcher:
        assert watcher.stdout is not None
        assert watcher.stderr is not None
        assert any(QUESTION.encode() in line for line in watcher.stdout)
        os.kill(worker.pid, signal.SIGKILL)
        killed = time.monotonic()
        said = next(line for line in watcher.stderr if f"(pid {worker.pid}) has ended".encode() in line)
        assert time.monotonic() - killed < SAID_WITHIN
        until_lost = []
        for line in watcher.stderr:
            until_lost.append(line)
            if b"Model call failed: its worker was lost or did not respond. Retrying (attempt 2)." in line:
                break
        cli.server.release()
        shown, more = watcher.communicate(timeout=TIMEOUT)
        assert watcher.returncode == 0, more
    assert b"started again: pid" in b"".join([said, *until_lost, more])
    assert b"completed" in shown
