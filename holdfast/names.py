"""Names of workflows, activities, queries, updates and signals in Temporal.

Clients in other languages, Temporal's CLI and recorded histories use them too, so released names never change.
"""

from __future__ import annotations

import hashlib

AGENT_RUN = "AgentRun"
MIRROR_CATCH_UP = "MirrorCatchUp"
EMBED_MEMORIES = "EmbedMemories"
EVENT_TOPIC = "EventTopic"
TOOL_RUN = "ToolRun"
WORKFLOWS = (AGENT_RUN, MIRROR_CATCH_UP, EMBED_MEMORIES, EVENT_TOPIC, TOOL_RUN)

RUN_PREPARE = "run.prepare"
RUN_SLOT = "run.slot"
FORK_PAGE = "fork.page"
FORK_WORKSPACE = "fork.workspace"
RUN_RESTORE_POINT = "run.restore_point"
MODEL_CALL = "model.call"
AGENT_OUTPUT = "agent.output"
AGENT_GUARD = "agent.guard"
AGENT_PROMPT = "agent.system_prompt"
MIRROR_APPEND = "mirror.append"
MIRROR_REBUILD = "mirror.rebuild"
MIRROR_FINISH = "mirror.finish"
APPROVAL_CHECK = "approval.check"
CODE_READY = "code.ready"
CONTENT_KEEP = "content.keep"
CHILD_FIND = "child.find"
MEMORY_EMBED = "memory.embed"
EVENT_AWAIT = "event.await"
EVENT_EMIT = "event.emit"
MAX_WORKFLOW_ID = 1_000  # bytes; Temporal's limit
RESERVED = 20  # bytes of an id, for `/mirror` behind it
TOOL_PREFIX = "tool."
"""Prefix of the activity types of tools: `tool.<name>`, or `tool.<agent>.<name>` for a method of an agent and
for a tool whose name another agent uses too."""

MCP_SEPARATOR = "__"
"""Between the name of an MCP server and that of its tool, as in `docs__search`."""
MCP_PREFIX = f"{TOOL_PREFIX}mcp:"
"""Prefix of the activity types of tools of MCP servers: `tool.mcp:<server>__<tool>`."""

ASK_AGENT = "ask_agent"
"""The operation of tools that ask another agent, see `ToolSpec.operation`."""

HAND_OFF = "hand_off"
"""The operation of tools that hand the run to another agent."""

UPDATE_CALL_AGENT = "call_agent"
"""To a run: one of its tools calls an agent, whose run is to be a child of the run."""
SIGNAL_CHILD = "child"
"""To a run: what became of one of its children."""
SIGNAL_REPORT = "report"
"""To a child run: its parent continues as new, and no longer learns from Temporal how the child ends."""
SIGNAL_STAGE = "stage"
"""To a run: a call of one of its tools has entered a stage."""


def child_id(parent: str, turn: int, place: int | str, attempt: int = 1) -> str:
    """Returns the id of the run that a call starts: `parent/2.0`.

    Args:
        parent: the run that makes the call.
        turn: the turn of the call.
        place: the place of the call among those of the turn, from 0; and `0.2` for the second one of a tool's own.
        attempt: more than 1 if a reset makes the call again.
    """
    own = f"{parent}/{turn}.{place}" + (f"-{attempt}" if attempt > 1 else "")
    if len(own.encode()) <= MAX_WORKFLOW_ID - RESERVED:
        return own
    return f"{hashlib.sha256(parent.encode()).hexdigest()}/{own.rpartition('/')[2]}"


def catch_up_id(run_id: str) -> str:
    """Returns the id of the `MirrorCatchUp` workflow of a run."""
    own = f"{run_id}/mirror"
    return own if len(own.encode()) <= MAX_WORKFLOW_ID else f"{hashlib.sha256(run_id.encode()).hexdigest()}/mirror"


SCRIPTED_MODEL = "scripted"
"""Name of the scripted model."""

QUERY_STATUS = "status"
QUERY_ENTRIES = "entries"
QUERY_TRANSCRIPT = "transcript"
QUERY_USAGE = "usage"
QUERY_CHECKPOINTS = "checkpoints"
QUERY_PENDING_APPROVALS = "pending_approvals"

SIGNAL_EMIT = "emit"
"""To an `EventTopic`: an event."""
SIGNAL_AWAIT = "await"
"""To an `EventTopic`: a run waits for the next event."""
SIGNAL_FORGET = "forget"
"""To an `EventTopic`: a run no longer waits."""
SIGNAL_EVENT = "event"
"""To a run: the event that it waits for."""

TRACE_HEADER = "holdfast-trace"
"""Temporal header of the activities and children of a run that is traced."""
TRACE_LINK_HEADER = "traceparent"
"""Temporal header of a run that a client has started within a span: its W3C trace context."""
