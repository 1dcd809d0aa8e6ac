"""Calls of agents that tools make, as updates of the runs whose tools they are."""

from __future__ import annotations

from temporalio.client import Client

from holdfast import names
from holdfast.children import AgentCall, CalledAgent
from holdfast.client.run_handle import RunHandle
from holdfast.errors import CommandRefused
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.temporal.updates import awaited
from holdfast.types import RunId, RunResult


async def call_agent(client: Client, run_id: RunId, asked: AgentCall) -> RunResult:
    """Has a run make a call, and returns its end; see `AgentCalls.call`."""
    with translated_errors(run_id):
        called: CalledAgent = await awaited(
            client.get_workflow_handle(run_id).execute_update(names.UPDATE_CALL_AGENT, asked, result_type=CalledAgent)
        )
    if called.run is None:
        raise CommandRefused(called.error or f"the run {run_id!r} has not called the agent")
    return (await RunHandle(client, TemporalRunLog(client), called.run).result()).run
