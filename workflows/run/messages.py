"""Messages to a run that no model call has seen yet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from holdfast.attachments import Attachment
from holdfast.carried import QueuedMessage

MAX_MESSAGES = 100
MAX_BYTES = 1024 * 1024
"""Of all messages together, in UTF-8: a run carries them when it continues as new, and Temporal accepts 2 MB."""


class MessageQueue:
    """A bounded queue in the order of arrival."""

    def __init__(self, messages: Iterable[QueuedMessage] = ()) -> None:
        self._messages = list(messages)

    def fault(self, text: str, attachments: Iterable[Attachment] = ()) -> str | None:
        """Returns why a message cannot be queued; `None` if it can."""
        if len(self._messages) >= MAX_MESSAGES:
            return f"{MAX_MESSAGES} messages wait for the agent already; send more when it has read some"
        size = sum(_size(message.text, message.attachments) for message in self._messages) + _size(text, attachments)
        if size > MAX_BYTES:
            return (
                f"the messages that wait for the agent would have {size:,} bytes together; the maximum is {MAX_BYTES:,}"
            )
        return None

    def add(self, message: QueuedMessage) -> None:
        """Adds a message that has no fault."""
        self._messages.append(message)

    def take(self, *, after_answer: bool) -> list[QueuedMessage]:
        """Removes and returns the messages for the next model call, before the first one whose content is not stored.

        Args:
            after_answer: whether the model has answered, so that the call sees all messages.
        """
        ready = takewhile(lambda message: not _carries_content(message), self._messages)
        taken = [message for message in ready if after_answer or not message.after_answer]
        self._messages = [message for message in self._messages if message not in taken]
        return taken

    @property
    def unstored(self) -> QueuedMessage | None:
        """The oldest message that carries the content of an attachment; `None` if none does."""
        return next((message for message in self._messages if _carries_content(message)), None)

    def settle(self, message: QueuedMessage, attachments: list[Attachment]) -> None:
        """Replaces the attachments of a message, unless it was dropped meanwhile."""
        change = {"attachments": attachments}
        self._messages = [each.model_copy(update=change) if each is message else each for each in self._messages]

    def drop(self) -> list[QueuedMessage]:
        """Removes and returns all messages."""
        dropped, self._messages = self._messages, []
        return dropped

    def hurry(self) -> None:
        """Makes the next model call see all messages."""
        self._messages = [message.model_copy(update={"after_answer": False}) for message in self._messages]

    @property
    def messages(self) -> list[QueuedMessage]:
        """The messages, oldest first."""
        return self._messages

    def __len__(self) -> int:
        return len(self._messages)


def _carries_content(message: QueuedMessage) -> bool:
    return any(each.data for each in message.attachments)


def _size(text: str, attachments: Iterable[Attachment]) -> int:
    """Returns the bytes that a message takes where a run carries it."""
    return len(text.encode()) + sum(len(each.model_dump_json().encode()) for each in attachments)
