"""The port of the store of saved conversations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from holdfast.types import RunId


@dataclass(frozen=True, slots=True)
class SavedConversation:
    """A conversation that was saved, as training data or to be read."""

    run_id: RunId
    chain: str
    """Tells runs with the same id apart; see `MirroredRun.chain`."""
    agent: str
    head: int
    """The last entry of the run's log when it was saved."""
    at: datetime
    """When it was saved; an aware time."""
    messages: int
    """How many."""
    text: str
    """The messages and the tools in OpenAI's chat format: one line of JSON."""


@runtime_checkable
class ConversationStore(Protocol):
    """Stores one conversation per run; every method may raise StoreUnavailable."""

    async def put(self, conversation: SavedConversation) -> None:
        """Stores a conversation in place of what was saved of the run before, unless that has a later head."""
        ...

    async def get(self, run_id: RunId) -> SavedConversation | None:
        """Returns the conversation that was saved of a run; `None` means that none was.

        Raises:
            PayloadUnreadable: it is encrypted with a key that is not configured.
        """
        ...


ConversationSource = Callable[[], "ConversationStore | None"]
"""Returns the store of conversations, opening it on demand; `None` means that this process has no database."""
