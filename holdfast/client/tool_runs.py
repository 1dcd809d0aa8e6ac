"""Calls of tools without a run."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, CancelledError, WorkflowAlreadyStartedError

from holdfast import names
from holdfast.agents.agent import Agent
from holdfast.agents.typed_results import typed
from holdfast.arguments import checked_folder, checked_id, checked_seconds
from holdfast.client.starter import RunStarter
from holdfast.definition import AgentDefinition, split_version
from holdfast.errors import (
    ApprovalRequired,
    ErrorType,
    HoldfastError,
    RunExists,
    ToolCallFailed,
    UnknownAgent,
    UsageError,
    WaitTimedOut,
)
from holdfast.rejection import place_of, reason_of
from holdfast.search_attributes import AGENT_NAME
from holdfast.temporal.connection import translated_errors
from holdfast.tool_runs import ToolRunRequest
from holdfast.types import AgentSpec, ToolResult

AnyAgent = str | Agent | AgentSpec | AgentDefinition
"""An agent by its name, or by its definition."""


@dataclass(frozen=True)
class ExecutedTool:
    """What a call of a tool returned."""

    content: Any
    """What the function returned, of its type if the caller has the `Agent`; otherwise JSON data, or text.

    `None` if the call failed."""
    error: str | None
    """Why the call failed; `None` if it succeeded."""
    text: str
    """The content as a model would read it."""
    files: list[str]
    """Files that the tool wrote, relative to its workspace."""
    seconds: float
    id: str
    """Identifies the call."""

    @property
    def success(self) -> bool:
        """Whether the call succeeded."""
        return self.error is None

    def raise_on_failure(self) -> None:
        """Raises ToolCallFailed if the call failed."""
        if self.error is not None:
            raise ToolCallFailed(self.error)


@dataclass(frozen=True)
class ToolCallOptions:
    """How a tool is called; see `Holdfast.execute_tool`."""

    id: str | None = None
    approve: bool = False
    timeout: float | None = None
    context: Mapping[str, JsonValue] | None = None
    workspace: str | Path | None = None
    spec: AgentSpec | None = None
    """The definition to send, if it is not that of the agent itself."""


class ToolRuns:
    """Calls tools by `ToolRun` workflows.

    Args:
        client: connected to the namespace of the workers.
        starter: checks agents and sizes.
        task_queue: the task queue of the workers.
    """

    def __init__(self, client: Client, starter: RunStarter, task_queue: str) -> None:
        self._client = client
        self._starter = starter
        self._task_queue = task_queue

    async def execute(
        self, agent: AnyAgent, tool: str, arguments: Mapping[str, Any], options: ToolCallOptions
    ) -> ExecutedTool:
        """Calls a tool, waits for its result and returns it; see `Holdfast.execute_tool`."""
        if options.approve and activity.in_activity():
            raise UsageError("approve=True is for people: a tool cannot approve a call that another tool makes")
        checked_seconds("timeout", options.timeout)
        request = self._request(agent, tool, arguments, options)
        handle = await self._start(request, options.id)
        try:
            async with asyncio.timeout(options.timeout):
                result = await self._result(handle)
        except TimeoutError:
            await self._cancel(handle)
            raise WaitTimedOut(f"tool {tool!r} has not ended within {options.timeout:g} s; it was cancelled") from None
        except asyncio.CancelledError:
            with suppress(HoldfastError):  # the caller is told of the cancel, also if the server is unavailable
                await asyncio.shield(self._cancel(handle))
            raise
        return _executed(result, agent, tool, handle.id)

    def _request(
        self, agent: AnyAgent, tool: str, arguments: Mapping[str, Any], options: ToolCallOptions
    ) -> ToolRunRequest:
        folder = checked_folder("workspace", options.workspace)
        given = {
            "approve": options.approve or None,
            "context": options.context,
            "workspace": str(folder) if folder else None,
        }
        try:
            plain = to_jsonable_python(dict(arguments))
        except PydanticSerializationError as error:
            raise UsageError(f"tool {tool!r} cannot be called: an argument is not a JSON value: {error}") from None
        self._starter.check_size("call of a tool", json.dumps(plain))
        try:
            return ToolRunRequest.model_validate(
                {
                    "agent": options.spec or (agent.spec() if isinstance(agent, Agent) else agent),
                    "tool": tool,
                    "arguments": plain,
                    **{name: value for name, value in given.items() if value is not None},
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"tool {tool!r} cannot be called: {place_of(first)}: {reason_of(first)}") from None

    async def _start(self, request: ToolRunRequest, given_id: str | None) -> WorkflowHandle[Any, Any]:
        name = split_version(request.agent)[0] if isinstance(request.agent, str) else request.agent.name
        if isinstance(request.agent, str):
            await self._starter.check_agent(request.agent)
        call_id = checked_id(given_id) if given_id is not None else f"tool-{request.tool}-{uuid.uuid4().hex[:12]}"
        fingerprint = _fingerprint(name, request)
        try:
            with translated_errors(call_id):
                return await self._client.start_workflow(
                    names.TOOL_RUN,
                    request,
                    id=call_id,
                    task_queue=self._task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={"call": fingerprint},
                    search_attributes=TypedSearchAttributes([SearchAttributePair(AGENT_NAME, name)]),
                    static_summary=f"{name} · {request.tool}"[:120],
                    result_type=ToolResult,
                )
        except WorkflowAlreadyStartedError:
            return await self._known(call_id, fingerprint)

    async def _known(self, call_id: str, fingerprint: str) -> WorkflowHandle[Any, Any]:
        """Returns a call that was started before under its id, if it is the same."""
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(call_id, result_type=ToolResult)
        with translated_errors(call_id):
            memo = await (await handle.describe()).memo()
        if memo.get("call") != fingerprint:
            raise RunExists(f"the id {call_id!r} belongs to another call, or to a run: choose another id")
        return handle

    async def _result(self, handle: WorkflowHandle[Any, Any]) -> ToolResult:
        try:
            with translated_errors(handle.id):
                result: ToolResult = await handle.result()
                return result
        except WorkflowFailureError as failure:
            match failure.cause:
                case ApplicationError(type=ErrorType.APPROVAL_REQUIRED, message=message):
                    raise ApprovalRequired(message) from None
                case ApplicationError(type=ErrorType.UNKNOWN_AGENT, message=message):
                    raise UnknownAgent(message) from None
                case ApplicationError(type=ErrorType.INVALID_REQUEST, message=message):
                    raise UsageError(message) from None
                case CancelledError():
                    return ToolResult(error="the call was cancelled")
            raise HoldfastError(f"the call {handle.id!r} failed: {failure.cause}") from failure

    async def _cancel(self, handle: WorkflowHandle[Any, Any]) -> None:
        with translated_errors(handle.id):
            await handle.cancel()


def _fingerprint(agent: str, request: ToolRunRequest) -> str:
    told = json.dumps([agent, request.tool, request.arguments], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _executed(result: ToolResult, agent: AnyAgent, tool: str, call_id: str) -> ExecutedTool:
    known = [own.function for own in agent.tools if own.spec.name == tool] if isinstance(agent, Agent) else []
    return ExecutedTool(
        content=None if result.error is not None else typed(result, next(iter(known), None)),
        error=result.error,
        text=result.content,
        files=result.files,
        seconds=result.seconds,
        id=call_id,
    )
