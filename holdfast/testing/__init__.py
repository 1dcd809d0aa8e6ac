"""Tools for tests of agents."""

from holdfast.testing.environment import AgentEnvironment, serve_agents
from holdfast.testing.model_server import ChatRequest, ChatToolCall, EmbeddingFault, ModelServer, RecordedRequest, Reply

__all__ = [
    "AgentEnvironment",
    "ChatRequest",
    "ChatToolCall",
    "EmbeddingFault",
    "ModelServer",
    "RecordedRequest",
    "Reply",
    "serve_agents",
]
