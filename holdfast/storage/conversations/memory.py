"""The store of conversations in the memory of one process."""

from __future__ import annotations

from typing_extensions import override

from holdfast.ports.conversations import ConversationStore, SavedConversation
from holdfast.types import RunId


class MemoryConversations(ConversationStore):
    """Conversations in a dictionary; they are lost with the process."""

    def __init__(self) -> None:
        self._conversations: dict[RunId, SavedConversation] = {}

    @override
    async def put(self, conversation: SavedConversation) -> None:
        known = self._conversations.get(conversation.run_id)
        if known is None or known.chain != conversation.chain or known.head <= conversation.head:
            self._conversations[conversation.run_id] = conversation

    @override
    async def get(self, run_id: RunId) -> SavedConversation | None:
        return self._conversations.get(run_id)
