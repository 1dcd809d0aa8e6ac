"""Workers of adjacent versions share runs: fields of a newer version are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from holdfast.protocol import CarriedState, Plan, RunRequest
from holdfast.types import AgentSpec, RunResult
from holdfast.workflows.run.carry import carried_state, resumed
from tests.support.lab import Lab, eventually
from tests.support.many_turns import count_to, counter

NEWER = {"invented_later": {"usd": 1.5}}


async def start(lab: Lab, run_id: str, **fields: Any) -> RunResult:
    """Starts a run as a newer client would, and waits for its end."""
    wanted = {"agent": "counter", "input": "Count.", "client_version": "99.0", **NEWER, **fields}
    handle = await lab.client.start_workflow(
        "AgentRun", wanted, id=run_id, task_queue=lab.settings.temporal_task_queue, result_type=RunResult
    )
    result: RunResult = await handle.result()
    return result


async def test_a_request_of_a_newer_client_is_carried_out(lab: Lab) -> None:
    """A run starts, although its request, its agent and a tool have fields that this worker does not know."""
    spec = counter.spec().model_dump(mode="json")
    spec |= NEWER
    spec["tools"][0] |= NEWER
    async with lab.worker(counter):
        lab.server.respond = count_to(2)
        result = await start(lab, "newer-request", agent=spec)
    assert result.output == "counted to 1"
    entries = [entry async for entry in lab.holdfast.handle("newer-request").entries()]
    assert entries[0].data["agent"]["invented_later"] == NEWER["invented_later"]


async def test_a_request_that_only_a_newer_version_reads_waits_for_it(lab: Lab) -> None:
    """An older worker does not fail a run for good that it cannot read, and the run says what it needs."""
    wanted = {"agent": {"graph": ["a", "b"]}, "input": "Count."}
    async with lab.worker(counter):
        queue = lab.settings.temporal_task_queue
        newer = await lab.client.start_workflow(
            "AgentRun", wanted | {"client_version": "99.0"}, id="needs-newer", task_queue=queue
        )
        older = await lab.client.start_workflow(
            "AgentRun", wanted | {"client_version": "0.0.9"}, id="needs-older", task_queue=queue
        )
        with pytest.raises(WorkflowFailureError):
            await older.result()
        run = lab.holdfast.handle(newer.id)

        async def says_why() -> bool:
            return "which version 99.0 wrote" in (await run.status()).doing

        await eventually(says_why)
        assert await run.ended() is None
        await run.terminate("there is no newer worker")


async def test_older_worker_takes_newer_run(short_histories: Lab) -> None:
    """An older worker that continues a run hands on what it does not understand, so that a newer one can use it."""
    lab = short_histories
    lab.server.respond = count_to(60)
    async with lab.worker(counter, max_cached_workflows=100):
        result = await start(lab, "newer-carried")
    assert result.turns == 60
    last = await lab.client.get_workflow_handle("newer-carried").describe()
    started = await anext(lab.client.get_workflow_handle("newer-carried", run_id=last.run_id).fetch_history_events())
    payloads = started.workflow_execution_started_event_attributes.input.payloads
    [request] = await lab.client.data_converter.decode(payloads, [RunRequest])
    assert request.carried is not None, "the run continued as new"
    assert request.model_extra == NEWER


def test_what_a_run_carries_keeps_fields_of_a_newer_version() -> None:
    """Plan and carried state come back as they were given, unknown fields included."""
    plan: dict[str, Any] = {
        "spec": AgentSpec(name="a").model_dump(mode="json") | NEWER,
        "timeout": 5.0,
        "expected_model": "m",
        "workspace": "/w",
        "price": {"input": 1.0, "output": 2.0} | NEWER,
        **NEWER,
    }
    carried: dict[str, Any] = {
        "chain": "c",
        "previous": "p",
        "plan": plan,
        "head": {"seq": 4, "digest": "d"} | NEWER,
        "next_message": 3,
        "turns": 1,
        "tool_calls": 1,
        "usage": {"requests": 1} | NEWER,
        "output": "",
        "model": None,
        "files": [],
        "started_at": "2026-01-01T00:00:00Z",
        "context": {"compacting": {"id": "c1", "focus": "the prices"} | NEWER},
        "control": {
            "paused": True,
            "queue": [{"id": "m1", "text": "Be quick."} | NEWER],
            "waits": [
                {"id": "v", "kind": "vote", "since": "2026-01-01T00:00:00Z", "what": "a vote", "data": {}} | NEWER
            ],
            "answers": {"m1": {"digest": "d", "seq": 7, "state": "paused"} | NEWER},
            **NEWER,
        },
        **NEWER,
    }
    assert Plan.model_validate(plan).model_dump(mode="json", exclude_unset=True) == plan
    assert CarriedState.model_validate(carried).model_dump(mode="json", exclude_unset=True) == carried
    request = RunRequest(agent="a", input="Count.", carried=CarriedState.model_validate(carried))
    assert request.carried is not None
    now = datetime(2026, 1, 2, tzinfo=UTC)
    state = resumed("r", request, request.carried, now=now)
    assert (state.status, [wait.kind for wait in state.open_waits.values()]) == ("paused", ["vote"])
    again = carried_state(state, now, "e", acked=state.head).model_dump(mode="json", exclude_unset=True)
    assert again["invented_later"] == NEWER["invented_later"]
    assert again["context"]["compacting"] == carried["context"]["compacting"]
    assert again["control"] | carried["control"] == again["control"], "what an older worker does not know is handed on"
