"""Calls of agents that tools make, as updates of the runs whose tools they are."""

from __future__ import annotations

import uuid

from temporalio.client import Client

from holdfast import names
from holdfast.children import AgentCall, CalledAgent
from holdfast.client.run_handle import RunHandle
from holdfast.errors import CommandRefused
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.temporal.updates import Updates
from holdfast.types import RunId, RunResult


async def call_agent(client: Client, run_id: RunId, asked: AgentCall) -> RunResult:
    """Has a run make a call, and returns its end; see `AgentCalls.call`."""
    handle, update_id = client.get_workflow_handle(run_id), uuid.uuid4().hex

    async def update() -> CalledAgent:
        called: CalledAgent = await handle.execute_update(
            names.UPDATE_CALL_AGENT, asked, id=update_id, result_type=CalledAgent
        )
        return called

    called = await Updates(client).send(run_id, update)
    if called.run is None:
        raise CommandRefused(called.error or f"the run {run_id!r} has not called the agent")
    return (await RunHandle(client, TemporalRunLog(client), called.run).result()).run
