"""The context of a tool's function, as the input of its activity determines it."""

from __future__ import annotations

from types import MappingProxyType

from temporalio import activity

from holdfast.agents.tool_context import AgentCaller, ToolChannel, ToolContext
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.http_access import HttpAccess
from holdfast.invocations import ToolInvocation
from holdfast.ports.memory_files import MemoryFolders
from holdfast.ports.retrieval import TextMemoryProtocol
from holdfast.ports.sandbox import SandboxProtocol


def tool_context(
    invocation: ToolInvocation,
    *,
    roots: WorkspaceRoots,
    memories: TextMemoryProtocol | None = None,
    channel: ToolChannel | None = None,
    sandbox: SandboxProtocol | None = None,
    http: HttpAccess | None = None,
    folders: MemoryFolders | None = None,
    agents: AgentCaller | None = None,
) -> ToolContext:
    """Returns the context of a call in the current attempt of an activity.

    Args:
        invocation: the call.
        roots: see `ToolContext.roots`.
        memories: see `ToolContext.memories`.
        channel: see `ToolContext.channel`.
        sandbox: see `ToolContext.sandbox`.
        http: see `ToolContext.http`.
        folders: the memory folders; `None` means that there are none.
        agents: see `ToolContext.agents`.
    """
    path = invocation.memory_path
    return ToolContext(
        run_id=invocation.run_id,
        call_id=invocation.call.id,
        agent=invocation.agent,
        turn=invocation.turn,
        attempt=activity.info().attempt,
        workspace=roots.place(invocation.workspace, invocation.own_workspace),
        memories=memories,
        memory_folder=folders.of(invocation.agent, path) if folders and path else None,
        roots=roots,
        tool=invocation.call.name,
        context=MappingProxyType(invocation.context or {}),
        channel=channel,
        sandbox=sandbox,
        http=http or HttpAccess(),
        elicitation=invocation.elicitation,
        agents=agents,
    )
