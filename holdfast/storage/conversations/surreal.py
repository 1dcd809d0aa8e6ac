"""The store of conversations on SurrealDB."""

from __future__ import annotations

from datetime import UTC

from surrealdb import RecordID
from typing_extensions import override

from holdfast.errors import StoreUnavailable
from holdfast.ports import Cipher
from holdfast.ports.conversations import ConversationStore, SavedConversation
from holdfast.storage.database import Database, retry_conflicts
from holdfast.storage.database.surql import statement
from holdfast.storage.sealed import key_name_of, without_keys
from holdfast.types import RunId

TABLE = "conversation"

PUT = statement("holdfast.storage.conversations", "put")
GET = "SELECT * FROM $row"


class SurrealConversations(ConversationStore):
    """One row for each run, whose id is the run's. Pruning the run leaves it.

    Args:
        database: the database; it is not closed with this object.
        cipher: encrypts the texts; `None` stores them as they are.
    """

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        self._database = database
        self._cipher = cipher

    @override
    async def put(self, conversation: SavedConversation) -> None:
        content = {
            "run": RecordID("run", conversation.run_id),
            "chain": conversation.chain,
            "agent": conversation.agent,
            "head": conversation.head,
            "at": conversation.at.astimezone(UTC),
            "messages": conversation.messages,
            "text": self._cipher.seal(conversation.text) if self._cipher else conversation.text,
        }
        row = RecordID(TABLE, conversation.run_id)
        results = await retry_conflicts(
            lambda: self._database.run(PUT, row=row, content=content), f"the conversation of {conversation.run_id!r}"
        )
        if not any(isinstance(result, list) and result for result in results):
            # the database does not report a write that permissions forbid
            raise StoreUnavailable("the database ignored a conversation: check that its user may write")

    @override
    async def get(self, run_id: RunId) -> SavedConversation | None:
        [rows] = await self._database.run(GET, row=RecordID(TABLE, run_id))
        if not rows:
            return None
        names = ("chain", "agent", "head", "at", "messages")
        return SavedConversation(run_id, text=self._opened(rows[0]["text"]), **{name: rows[0][name] for name in names})

    def _opened(self, text: str) -> str:
        if self._cipher is not None:
            return self._cipher.unseal(text)
        if (key := key_name_of(text)) is not None:
            raise without_keys(key)
        return text
