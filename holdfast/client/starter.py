"""Starts of runs: a request is checked, and sent to Temporal."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from holdfast import names
from holdfast._version import __version__
from holdfast.agents.agent import Agent
from holdfast.arguments import check_instance, checked_folder, checked_id, checked_names
from holdfast.bounds import shortened
from holdfast.budgets import Budget, checked_budget, plain_budget
from holdfast.client.attaching import check_same
from holdfast.client.inputs import GivenInput, Inputs, RunInput
from holdfast.client.known_agents import KnownAgents
from holdfast.definition import AgentDefinition
from holdfast.errors import RunExists, UsageError
from holdfast.protocol import RunRequest
from holdfast.rejection import place_of, reason_of
from holdfast.request_problems import request_problems
from holdfast.search_attributes import AGENT_NAME, AGENT_STATUS
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.visibility import explained_rejections
from holdfast.types import AgentSpec, RunId, RunStatus

INPUT_SHOWN = 200  # characters of the input that lists show
DETAILS_SHOWN = 2_000  # characters of it that the page of a run in Temporal's UI shows


class RunStarter:
    """Starts runs on one task queue.

    Args:
        client: connected to the namespace of the runs.
        known_agents: refuses names that nobody knows.
        task_queue: the task queue of the workers.
        inputs: takes the inputs of runs.
    """

    def __init__(self, client: Client, known_agents: KnownAgents, *, task_queue: str, inputs: Inputs) -> None:
        self._client = client
        self._known_agents = known_agents
        self._task_queue = task_queue
        self._inputs = inputs

    async def start(self, fields: Mapping[str, Any], run_id: RunId | None = None, *, attach: bool = False) -> RunId:
        """Starts a run and returns its id.

        Args:
            fields: of the RunRequest; those that are `None` were not given.
            run_id: its id; `None` means a new one.
            attach: whether a run with this id, the same agent and the same input is the one that is wanted.

        Raises:
            UsageError: a field is not accepted.
            UnknownAgent: workers are running, but neither they nor the registry know the name.
            RunExists: the id is taken.
            TemporalUnavailable: the server is unavailable.
        """
        request = await self._request(fields)
        name = request.agent_name
        run_id = checked_id(run_id) if run_id is not None else f"{_slug(name)}-{uuid.uuid4().hex[:8]}"
        try:
            with translated_errors(run_id):
                async with explained_rejections(self._client):
                    await self._client.start_workflow(
                        names.AGENT_RUN, request, id=run_id, **self._options(name, request)
                    )
        except WorkflowAlreadyStartedError:
            if attach:
                await check_same(self._client, run_id, request, self._inputs)
                return run_id
            raise RunExists(f"run {run_id!r} exists already; follow it, or start a run with another id") from None
        return run_id

    async def with_command(
        self, fields: Mapping[str, Any], run_id: RunId
    ) -> Callable[[], WithStartWorkflowOperation[Any, Any]]:
        """Returns the start of a run that is sent together with a command, unless the run is open already.

        Raises:
            UsageError: a field is not accepted.
            UnknownAgent: see `start`.
        """
        request = await self._request(fields)
        options = self._options(request.agent_name, request)
        return lambda: WithStartWorkflowOperation(
            names.AGENT_RUN,
            request,
            id=run_id,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            **options,
        )

    async def _request(self, fields: Mapping[str, Any]) -> RunRequest:
        folder = checked_folder("workspace", fields.get("workspace"))
        wanted = {**fields, "workspace": str(folder) if folder else None}
        wanted["client_version"] = __version__
        if fields.get("input") or not fields.get("session"):
            wanted |= await self._asked(fields)
        if (budget := wanted.get("budget")) is not None:
            wanted = {**wanted, "budget": _checked_budget(budget)}
        self.check_size("history", *(message.content for message in fields.get("history") or ()))
        request = _checked_request({name: value for name, value in wanted.items() if value is not None})
        if isinstance(request.agent, str):
            await self._known_agents.check(request.agent)
        return request

    async def _asked(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that an input sets; `attachments` are those of an input that was taken before."""
        if fields.get("attachments"):
            self.check_size("input of a run", fields["input"])
            return {"input": fields["input"]}
        return await self._inputs.request(fields.get("input"))

    def _options(self, name: str, request: RunRequest) -> dict[str, Any]:
        """Returns what Temporal is told of a run besides its input."""
        shown = " ".join(request.shown_input.split())[:INPUT_SHOWN] or "session"
        origin = {"forked": request.fork.run if request.fork else None, "rerun_of": request.rerun_of}
        return {
            "task_queue": self._task_queue,
            "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
            "memo": {"input": shown} | {field: run for field, run in origin.items() if run is not None},
            "search_attributes": TypedSearchAttributes(
                [
                    SearchAttributePair(AGENT_NAME, name),
                    SearchAttributePair(AGENT_STATUS, RunStatus.QUEUED.value),
                ]
            ),
            "static_summary": f"{name} · {shown}"[:120],
            "static_details": f"**{name}**\n\n{shortened(request.shown_input, DETAILS_SHOWN)}",
        }

    async def check_agent(self, name: str) -> None:
        """Checks the name of an agent, with or without a version.

        Raises:
            UnknownAgent: workers are running, but neither they nor the registry know it.
        """
        await self._known_agents.check(name)

    async def taken(self, given: RunInput, what: str) -> GivenInput:
        """Returns a message in the form in which a run takes it; see `Inputs.take`."""
        return await self._inputs.take(given, what)

    def check_size(self, what: str, *texts: str) -> None:
        """Checks that texts are small enough to be part of a request.

        Raises:
            UsageError: together they are too large.
        """
        self._inputs.check_size(what, *texts)


def request_fields(agent: Any, approve: Sequence[str] | None, **fields: Any) -> dict[str, Any]:
    """Returns the fields of a request to start a run; those that are `None` are not set.

    Raises:
        UsageError: the agent is neither a definition nor a name, or `approve` has something else than names.
    """
    kinds = (str, Agent, AgentSpec, AgentDefinition, Mapping)
    check_instance("agent", agent, kinds, "an Agent, a definition, or the name of an agent")
    return {
        "agent": agent.spec() if isinstance(agent, Agent) else agent,
        "approve": checked_names("approve", approve),
        **fields,
    }


def _checked_budget(budget: Budget | Mapping[str, Any]) -> dict[str, Any]:
    try:
        return plain_budget(checked_budget(budget))
    except ValidationError as error:
        first = error.errors()[0]
        place, given = place_of(first, below="budget"), shortened(repr(first["input"]), 80)
        raise UsageError(f"the run cannot be started: {place}={given}: {reason_of(first)}") from None
    except ValueError as error:
        raise UsageError(f"the run cannot be started: budget: {error}") from None


def _checked_request(fields: dict[str, Any]) -> RunRequest:
    """Returns a request with only the fields that were given, as it is shown in Temporal's UI."""
    try:
        return RunRequest.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(
            f"{place}={shortened(repr(given), 80)}: {reason}" for place, reason, given in request_problems(error)
        )
        raise UsageError(f"the run cannot be started: {problems}") from None


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "run"
