"""Holdfast runs AI agents that do not die.

async with holdfast.connect() as hf:
result = await hf.run("researcher", "What is promised?", workspace="docs")
print(result.content)
"""

from holdfast.agent import Agent, AgentResult
from holdfast.blocking import run_blocking
from holdfast.client import Holdfast, RunHandle, connect
from holdfast.definition import AgentDefinition
from holdfast.errors import (
    AgentDefinitionError,
    EventsPruned,
    HoldfastError,
    RunExists,
    RunFailed,
    RunNotFound,
    SettingsError,
    StoreUnavailable,
    SubscriberTooSlow,
    TemporalUnavailable,
    Unavailable,
    UnknownAgent,
    UsageError,
    WaitTimedOut,
    WorkerUnavailable,
)
from holdfast.event_bus import event_bus
from holdfast.events import BusEvent, Event, Notice, TextDelta
from holdfast.ports import EventBus
from holdfast.registry import BaseRegistry, InMemoryRegistry, RegistryProtocol, registry_factory
from holdfast.retrieval import Memory, MemoryMatch
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
from holdfast.vectors import VectorStore

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "AgentDefinition",
    "AgentDefinitionError",
    "AgentResult",
    "AgentSpec",
    "BaseRegistry",
    "BusEvent",
    "Entry",
    "Event",
    "EventBus",
    "EventsPruned",
    "Holdfast",
    "HoldfastError",
    "InMemoryRegistry",
    "Memory",
    "MemoryMatch",
    "Message",
    "Notice",
    "RegistryProtocol",
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
    "SubscriberTooSlow",
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
    "VectorStore",
    "WaitTimedOut",
    "WorkerUnavailable",
    "connect",
    "event_bus",
    "registry_factory",
    "run_blocking",
    "tool",
]
