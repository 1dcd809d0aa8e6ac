"""The activity that prepares a run: it finds the agent and resolves the limits."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED, store_unavailable
from holdfast.activities.limiter import Limiter
from holdfast.activities.slots import AgentSlots
from holdfast.agents.approvals import tightened_team
from holdfast.agents.directory import AgentDirectory
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.errors import (
    TO_ADD_AN_AGENT,
    ErrorType,
    MCPServerUnavailable,
    StoreUnavailable,
    ToolNotServed,
    UnknownAgent,
    UsageError,
)
from holdfast.ports.model_access import ModelAccess
from holdfast.protocol import Plan, PlanRequest, RunOptions
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.types import AgentSpec, model_names

log = get_logger(__name__)

LOCAL_LIST, LIST = 1.5, 8.0
"""Seconds that an attempt waits for the lists of MCP servers; less than a local activity and a normal one may take."""
SERVE_TOOLS = "Name the module that defines them in HOLDFAST_AGENTS and restart the worker"


class RunActivities:
    """Resolves what a run executes, from the agents that this worker serves."""

    def __init__(
        self,
        agents: AgentDirectory,
        *,
        served: Container[str],
        roots: WorkspaceRoots,
        default_timeout: float,
        models: ModelAccess,
        slots: AgentSlots,
        limits: PayloadLimits,
        max_tool_calls: int,
        has_ledger: bool,
        limiter: Limiter,
        approval_timeout: float | None = None,
        keeps_workspaces: bool = False,
    ) -> None:
        """
        Args:
            agents: finds the agents.
            served: activity types of this worker's tools.
            roots: where workspaces may be.
            default_timeout: maximum seconds of a run, if neither the run nor its agent sets a limit.
            models: this worker's models.
            slots: limits the agents that are executed at the same time.
            limits: the maximum size of an input.
            max_tool_calls: maximum number of tool calls that one turn makes.
            has_ledger: see `Plan.ledger`.
            limiter: resolves budgets.
            approval_timeout: see `Plan.approval_timeout`; of runs that set none.
            keeps_workspaces: whether the workspaces of runs that name none are kept in the store.
        """
        self._agents = agents
        self._served = served
        self._roots = roots
        self._default_timeout = default_timeout
        self._models = models
        self._slots = slots
        self._limits = limits
        self._max_tool_calls = max_tool_calls
        self._limiter = limiter
        self._has_ledger = has_ledger
        self._approval_timeout = approval_timeout
        self._keeps_workspaces = keeps_workspaces

    @activity.defn(name=names.RUN_PREPARE)
    async def prepare(self, wanted: PlanRequest, input_bytes: int) -> Plan:
        """Finds the agent, overrides its limits with those of the request, and checks that its tools are served.

        The run uses this plan until it ends, even if the agent changes meanwhile.

        Args:
            wanted: the agent and the limits.
            input_bytes: size of the input, in UTF-8.

        Raises:
            ApplicationError: the input, the definition or the workspace is rejected; or, retryable, this worker serves
                neither the agent nor its tools, or the registry is unavailable.
        """
        self._check_input(input_bytes)
        spec = self._with_approvals(await self._find(wanted), wanted)
        for agent in (spec, *spec.team.values()):
            self._check_tools(agent, wanted)
        models = model_names(wanted.model) or spec.models
        plan = Plan(
            spec=_overridden(spec, wanted),
            timeout=wanted.timeout or spec.timeout or self._default_timeout,
            expected_model=(models or [self._models.default_of(spec)])[0],
            workspace=str(workspace := self._workspace(wanted)),
            max_tool_calls=self._max_tool_calls,
            provider=self._models.provider,
            asked_at=wanted.asked_at,
        )
        if self._keeps_workspaces and not wanted.alone and (name := self._roots.name_of(workspace)):
            plan.own_workspace = name
        if team_models := {key: self._models.default_of(a) for key, a in plan.spec.team.items() if not a.models}:
            plan.team_models = team_models
        if self._has_ledger:
            plan.ledger = True
        if not spec.calls_model_itself and (queue := self._models.queue_of(models[0] if models else None)):
            plan.model_queue = queue
        await self._limiter.limit(plan, spec, wanted)
        if (approval_timeout := wanted.approval_timeout or self._approval_timeout) is not None:
            plan.approval_timeout = approval_timeout
        if self._limits.is_private:
            plan.private = True
        if not wanted.alone and not await self._slots.reserve(activity.info().workflow_id or ""):
            plan.queued = True
        return plan

    def _with_approvals(self, spec: AgentSpec, wanted: RunOptions) -> AgentSpec:
        if not wanted.approve:
            return spec
        try:
            return tightened_team(spec, wanted.approve, "this run")
        except UsageError as error:
            raise ApplicationError(
                f"this run cannot start: {error}", type=ErrorType.INVALID_REQUEST, non_retryable=True
            ) from None

    def _workspace(self, wanted: RunOptions) -> Path:
        try:
            if wanted.own_workspace and self._keeps_workspaces:
                return self._roots.named(wanted.own_workspace)
            if wanted.workspace:
                return self._roots.admit(Path(wanted.workspace))
            return self._roots.own_folder(activity.info().workflow_id or "")
        except (UsageError, OSError, ValueError) as error:
            raise ApplicationError(
                f"this run cannot start: {error}", type=ErrorType.INVALID_REQUEST, non_retryable=True
            ) from None

    def _check_input(self, size: int) -> None:
        limit = self._limits.max_input_bytes
        if size > limit:
            raise ApplicationError(
                f"this run cannot start: its input has {size:,} bytes; the maximum is {limit:,}: "
                "put it in a file of the workspace",
                type=ErrorType.INVALID_REQUEST,
                non_retryable=True,
            )

    async def _find(self, wanted: RunOptions) -> AgentSpec:
        agent = wanted.agent
        try:
            return await self._agents.find(agent, LOCAL_LIST if activity.info().is_local else LIST)
        except UnknownAgent as error:
            raise self._unserved(f"{error}. {TO_ADD_AN_AGENT}", wanted.timeout) from None
        except ToolNotServed as error:
            limit = wanted.timeout or getattr(agent, "timeout", None)
            raise self._unserved(f"{error}. {SERVE_TOOLS}", limit) from None
        except UsageError as error:
            raise ApplicationError(
                f"this run cannot start: {error}", type=ErrorType.INVALID_REQUEST, non_retryable=True
            ) from None
        except MCPServerUnavailable as error:
            log.warning("a run waits for an MCP server", agent=getattr(agent, "name", agent), reason=str(error))
            limit = wanted.timeout or getattr(agent, "timeout", None)
            raise ApplicationError(
                str(error),
                limit or self._default_timeout,
                type=ErrorType.MCP_UNAVAILABLE,
                category=EXPECTED,
            ) from None
        except StoreUnavailable as error:
            log.warning(
                "the agent registry is unavailable, will retry",
                agent=agent,
                attempt=activity.info().attempt,
                reason=str(error),
            )
            raise store_unavailable(error) from None

    def _check_tools(self, spec: AgentSpec, wanted: RunOptions) -> None:
        missing = [
            tool.name
            for tool in spec.tools
            if tool.operation is None
            and tool.task_queue is None
            and tool.activity not in self._served
            and not self._agents.calls(spec.name, tool)
        ]
        if missing:
            raise self._unserved(
                f"agent {spec.name!r} has tools that this worker does not serve: {', '.join(missing)}. {SERVE_TOOLS}",
                wanted.timeout or spec.timeout,
            )

    def _unserved(self, message: str, timeout: float | None) -> ApplicationError:
        """Returns a failure that is retried until a worker serves the run; its detail is the run's limit in seconds."""
        log.warning("this worker cannot serve a run", attempt=activity.info().attempt, reason=message)
        return ApplicationError(
            message,
            timeout or self._default_timeout,
            type=ErrorType.UNKNOWN_AGENT,
            category=EXPECTED,
        )


def _overridden(spec: AgentSpec, wanted: RunOptions) -> AgentSpec:
    """Returns an agent with the model, its settings and the limit of a request; the first two are its whole team's."""

    def changed(agent: AgentSpec) -> AgentSpec:
        changes: dict[str, object] = {} if wanted.model is None else {"model": wanted.model}
        if wanted.model_settings:
            settings = agent.model_settings | wanted.model_settings
            changes["model_settings"] = {name: value for name, value in settings.items() if value is not None}
        return agent.model_copy(update=changes) if changes else agent

    found = changed(spec)
    changes: dict[str, object] = {}
    if wanted.max_turns is not None:
        changes["max_turns"] = wanted.max_turns
    if spec.team:
        changes["team"] = {name: changed(member) for name, member in spec.team.items()}
    return found.model_copy(update=changes) if changes else found
