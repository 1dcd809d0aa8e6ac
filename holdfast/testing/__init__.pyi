# What the package offers to tests. `holdfast/testing/__init__.py` loads each name from here when it is first used.
from .agent_server import AgentServer as AgentServer
from .bench import Cassette as Cassette
from .calls import Called as Called
from .calls import MadeCall as MadeCall
from .environment import AgentEnvironment as AgentEnvironment
from .environment import serve_agents as serve_agents
from .model_server import ChatRequest as ChatRequest
from .model_server import ChatToolCall as ChatToolCall
from .model_server import ModelServer as ModelServer
from .model_server import RecordedRequest as RecordedRequest
from .replies import EmbeddingFault as EmbeddingFault
from .replies import Reply as Reply
from .replies import call_tools as call_tools
from .replies import say as say
from .session_stack import SessionStack as SessionStack

__all__ = [
    "AgentEnvironment",
    "AgentServer",
    "Called",
    "Cassette",
    "ChatRequest",
    "ChatToolCall",
    "EmbeddingFault",
    "MadeCall",
    "ModelServer",
    "RecordedRequest",
    "Reply",
    "SessionStack",
    "call_tools",
    "say",
    "serve_agents",
]
