"""The comparison of a run with a request for it, so that a program that is started again can continue the run."""

from __future__ import annotations

from temporalio.client import Client

from holdfast.client.inputs import Inputs
from holdfast.errors import RunExists
from holdfast.protocol import RunRequest
from holdfast.temporal.connection import translated_errors
from holdfast.types import RunId


async def check_same(client: Client, run_id: RunId, wanted: RunRequest, inputs: Inputs) -> None:
    """Checks that a run has the agent and the input of a request.

    Args:
        client: connected to the namespace of the run.
        run_id: the run.
        wanted: the request.
        inputs: compares attachments.

    Raises:
        RunExists: it has others, or Temporal no longer knows with which it was started.
    """
    found = await _first_request(client, run_id)
    if found is None:
        raise RunExists(f"run {run_id!r} already exists, and what it was asked is no longer known; choose another id")
    if found.agent_name != wanted.agent_name:
        raise RunExists(f"run {run_id!r} already exists: it is a run of agent {found.agent_name!r}; choose another id")
    is_same = _asked(found) == _asked(wanted) and await inputs.are_same(found.attachments, wanted.attachments)
    if found.session or found.fork or not is_same:
        raise RunExists(
            f"run {run_id!r} already exists with another input: pass that input to continue it, or choose another id"
        )


def _asked(request: RunRequest) -> tuple[str, list[bytes]]:
    return request.input, [message.chat_json for message in request.history]


async def _first_request(client: Client, run_id: RunId) -> RunRequest | None:
    with translated_errors(run_id):
        description = await client.get_workflow_handle(run_id).describe()
        first = description.raw_description.workflow_execution_info.first_run_id or description.run_id
        events = client.get_workflow_handle(run_id, run_id=first).fetch_history_events(page_size=1)
        async for event in events:
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            [request] = await client.data_converter.decode(payloads, [RunRequest])
            return request if isinstance(request, RunRequest) else None
    return None
