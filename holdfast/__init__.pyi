# The public surface. `holdfast/__init__.py` loads each name from here when it is first used.
from ._util.blocking import run_blocking as run_blocking
from ._version import __version__ as __version__
from .agent_result import AgentResult as AgentResult
from .agents.files import File as File
from .agents.files import Image as Image
from .agents.guards import Block as Block
from .agents.mcp_server import MCPServer as MCPServer
from .agents.task_context import TaskContext as TaskContext
from .agents.tool import Tool as Tool
from .agents.tool import ToolContext as ToolContext
from .agents.tool import ToolError as ToolError
from .agents.tool import tool as tool
from .agents.user_functions import RunContext as RunContext
from .agents.verification import Happened as Happened
from .agents.wrappers import ModelRequest as ModelRequest
from .agents.wrappers import ToolRequest as ToolRequest
from .attachments import Attachment as Attachment
from .budgets import Budget as Budget
from .call_progress import ToolProgress as ToolProgress
from .client.agent import Agent as Agent
from .client.concurrent_agents import run_agents_concurrently as run_agents_concurrently
from .client.holdfast import Holdfast as Holdfast
from .client.listed_run import ListedRun as ListedRun
from .client.responses import get_model_response as get_model_response
from .client.run_handle import RunHandle as RunHandle
from .client.shipped_agents import FrontendDeveloper as FrontendDeveloper
from .client.shipped_agents import Persona as Persona
from .client.task_agent import TaskAgent as TaskAgent
from .client.tool_runs import ExecutedTool as ExecutedTool
from .composition.client import connect as connect
from .composition.event_bus import event_bus as event_bus
from .composition.own_tables import get_surrealdb_client as get_surrealdb_client
from .composition.registry import registry_factory as registry_factory
from .composition.vector_store import VectorStore as VectorStore
from .definition import AgentDefinition as AgentDefinition
from .errors import AgentDefinitionError as AgentDefinitionError
from .errors import ApprovalRequired as ApprovalRequired
from .errors import EventsPruned as EventsPruned
from .errors import GuardBlocked as GuardBlocked
from .errors import HoldfastError as HoldfastError
from .errors import MCPServerUnavailable as MCPServerUnavailable
from .errors import OutputInvalid as OutputInvalid
from .errors import RunExists as RunExists
from .errors import RunFailed as RunFailed
from .errors import RunNotFound as RunNotFound
from .errors import SettingsError as SettingsError
from .errors import StoreUnavailable as StoreUnavailable
from .errors import SubscriberTooSlow as SubscriberTooSlow
from .errors import TemporalUnavailable as TemporalUnavailable
from .errors import ToolCallFailed as ToolCallFailed
from .errors import Unavailable as Unavailable
from .errors import UnknownAgent as UnknownAgent
from .errors import UsageError as UsageError
from .errors import WaitTimedOut as WaitTimedOut
from .errors import WorkerUnavailable as WorkerUnavailable
from .events import BusEvent as BusEvent
from .events import Event as Event
from .events import Notice as Notice
from .events import TextDelta as TextDelta
from .model_reply import ModelReply as ModelReply
from .ports import EventBus as EventBus
from .ports.registry import RegistryProtocol as RegistryProtocol
from .ports.retrieval import Memory as Memory
from .ports.retrieval import MemoryMatch as MemoryMatch
from .ports.retrieval import StoredVector as StoredVector
from .ports.retrieval import VectorMatch as VectorMatch
from .previews import PreviewServer as PreviewServer
from .progress import RunProgress as RunProgress
from .run_status import TaskExecutionMode as TaskExecutionMode
from .settings import Settings as Settings
from .storage.registry.base import BaseRegistry as BaseRegistry
from .storage.registry.memory import InMemoryRegistry as InMemoryRegistry
from .types import AgentSpec as AgentSpec
from .types import Entry as Entry
from .types import Message as Message
from .types import RunError as RunError
from .types import RunResult as RunResult
from .types import RunStatus as RunStatus
from .types import ToolCall as ToolCall
from .types import ToolResult as ToolResult
from .types import ToolSpec as ToolSpec
from .types import Usage as Usage

__all__ = [
    "Agent",
    "AgentDefinition",
    "AgentDefinitionError",
    "AgentResult",
    "AgentSpec",
    "ApprovalRequired",
    "Attachment",
    "BaseRegistry",
    "Block",
    "Budget",
    "BusEvent",
    "Entry",
    "Event",
    "EventBus",
    "EventsPruned",
    "ExecutedTool",
    "File",
    "GuardBlocked",
    "Happened",
    "Holdfast",
    "HoldfastError",
    "Image",
    "InMemoryRegistry",
    "ListedRun",
    "MCPServer",
    "MCPServerUnavailable",
    "Memory",
    "MemoryMatch",
    "Message",
    "ModelReply",
    "ModelRequest",
    "Notice",
    "OutputInvalid",
    "RegistryProtocol",
    "RunContext",
    "RunError",
    "RunExists",
    "RunFailed",
    "RunHandle",
    "RunNotFound",
    "RunProgress",
    "RunResult",
    "RunStatus",
    "Settings",
    "SettingsError",
    "StoreUnavailable",
    "StoredVector",
    "SubscriberTooSlow",
    "TemporalUnavailable",
    "TextDelta",
    "Tool",
    "ToolCall",
    "ToolCallFailed",
    "ToolContext",
    "ToolError",
    "ToolProgress",
    "ToolRequest",
    "ToolResult",
    "ToolSpec",
    "Unavailable",
    "UnknownAgent",
    "Usage",
    "UsageError",
    "VectorMatch",
    "VectorStore",
    "WaitTimedOut",
    "WorkerUnavailable",
    "connect",
    "event_bus",
    "get_model_response",
    "get_surrealdb_client",
    "registry_factory",
    "run_blocking",
    "tool",
]
