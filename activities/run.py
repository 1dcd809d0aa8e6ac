"""Prepares a run: finds its agent and settles its limits."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast.agents.catalog import AgentCatalog
from holdfast.errors import ErrorType, UnknownAgent
from holdfast.protocol import Plan, Preparation
from holdfast.types import AgentSpec


class RunActivities:
    """Knows the agents that this worker serves."""

    def __init__(self, catalog: AgentCatalog, *, workspaces: Path, default_timeout: float, default_model: str) -> None:
        """
        Args:
            catalog: the agents and tools of this worker.
            workspaces: folder for the workspaces of runs that name none.
            default_timeout: seconds that a run may take where neither it nor its agent says.
            default_model: the model that answers where neither of them names one.
        """
        self._catalog = catalog
        self._workspaces = workspaces
        self._default_timeout = default_timeout
        self._default_model = default_model

    @activity.defn(name="run.prepare")
    async def prepare(self, wanted: Preparation) -> Plan:
        """Finds the agent, puts the request's limits in place of its own, and makes sure of its tools.

        Raises:
            ApplicationError: the agent is unknown, or it has tools that no worker here serves.
        """
        spec = self._find(wanted.agent)
        self._check_tools(spec)
        changes = {"model": wanted.model, "max_turns": wanted.max_turns}
        return Plan(
            spec=spec.model_copy(update={name: value for name, value in changes.items() if value is not None}),
            timeout=wanted.timeout or spec.timeout or self._default_timeout,
            expected_model=wanted.model or spec.model or self._default_model,
            workspace=wanted.workspace or str((self._workspaces / quote(wanted.run_id, safe="")).absolute()),
        )

    def _find(self, agent: str | AgentSpec) -> AgentSpec:
        if isinstance(agent, AgentSpec):
            return agent
        try:
            return self._catalog.get(agent).spec()
        except UnknownAgent as error:
            raise ApplicationError(
                f"{error}. Agents of your own: name their module in HOLDFAST_AGENTS and restart the worker",
                type=ErrorType.UNKNOWN_AGENT,
                non_retryable=True,
            ) from None

    def _check_tools(self, spec: AgentSpec) -> None:
        served = self._catalog.tools()
        missing = [tool.name for tool in spec.tools if tool.task_queue is None and tool.activity not in served]
        if missing:
            raise ApplicationError(
                f"agent {spec.name!r} has tools that this worker does not serve: {', '.join(missing)}. "
                "Name the module that defines them in HOLDFAST_AGENTS and restart the worker",
                type=ErrorType.UNKNOWN_AGENT,
                non_retryable=True,
            )
