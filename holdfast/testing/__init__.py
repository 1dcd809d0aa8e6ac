"""Tools for tests of agents."""

from holdfast.testing.model_server import ChatRequest, ChatToolCall, EmbeddingFault, ModelServer, RecordedRequest, Reply

__all__ = ["ChatRequest", "ChatToolCall", "EmbeddingFault", "ModelServer", "RecordedRequest", "Reply"]
