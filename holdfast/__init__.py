"""Holdfast runs AI agents that do not die.

async with holdfast.connect() as hf:
result = await hf.run("researcher", "What is promised?", workspace="docs")
print(result.content)
"""

from holdfast.agent import Agent, AgentResult
from holdfast.client import Holdfast, RunHandle, connect
from holdfast.errors import (
    AgentDefinitionError,
    HoldfastError,
    RunExists,
    RunFailed,
    RunNotFound,
    SettingsError,
    StoreUnavailable,
    TemporalUnavailable,
    Unavailable,
    UnknownAgent,
    UsageError,
    WaitTimedOut,
    WorkerUnavailable,
)
from holdfast.events import Event, Notice, TextDelta
from holdfast.settings import Settings
from holdfast.tool import Tool, ToolContext, ToolError, tool
from holdfast.types import (
    AgentSpec,
    Entry,
    Message,
    RunError,
    RunProgress,
    RunResult,
    RunStatus,
    RunSummary,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "AgentDefinitionError",
    "AgentResult",
    "AgentSpec",
    "Entry",
    "Event",
    "Holdfast",
    "HoldfastError",
    "Message",
    "Notice",
    "RunError",
    "RunExists",
    "RunFailed",
    "RunHandle",
    "RunNotFound",
    "RunProgress",
    "RunResult",
    "RunStatus",
    "RunSummary",
    "Settings",
    "SettingsError",
    "StoreUnavailable",
    "TemporalUnavailable",
    "TextDelta",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "ToolResult",
    "ToolSpec",
    "Unavailable",
    "UnknownAgent",
    "Usage",
    "UsageError",
    "WaitTimedOut",
    "WorkerUnavailable",
    "connect",
    "tool",
]
