"""Saved conversations, one per run."""

from holdfast.storage.conversations.memory import MemoryConversations
from holdfast.storage.conversations.surreal import SurrealConversations

__all__ = ["MemoryConversations", "SurrealConversations"]
