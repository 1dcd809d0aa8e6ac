"""The data of entries that record replies and results of tools."""

from __future__ import annotations

from typing import Any

from holdfast.model_reply import ModelReply
from holdfast.types import Attachment, Message, ToolCall, ToolResult


def reply_data(seq: int, reply: ModelReply, calls: list[ToolCall]) -> dict[str, Any]:
    """Returns the data of the entry of a reply.

    Args:
        seq: number of the message.
        reply: the reply.
        calls: those of its calls that are recorded.
    """
    message = Message(seq=seq, role="assistant", content=reply.content)
    if calls:
        message.tool_calls = calls
    if reply.provider_fields:
        message.provider_fields = reply.provider_fields
    if reply.partial:
        message.partial = True
    facts = reply.model_dump(mode="json", include={"model", "finish_reason", "usage", "seconds"})
    if reply.cached:
        facts["cached"] = True
    if reply.tried:
        facts["tried"] = [tried.model_dump(mode="json") for tried in reply.tried]
    return {"message": plain(message), **facts, **_attempts(reply.attempts)}


def user_message(seq: int, text: str, attachments: list[Attachment], *, pinned: bool = False) -> Message:
    """Returns a message of a person."""
    message = Message(seq=seq, role="user", content=text)
    if attachments:
        message.attachments = attachments
    if pinned:
        message.pinned = True
    return message


def result_data(seq: int, call: ToolCall, result: ToolResult) -> dict[str, Any]:
    """Returns the data of the entry of a tool's result; `seq` is the number of the message."""
    content = f"error: {result.error}" if result.error is not None else result.content
    message = Message(seq=seq, role="tool", content=content, tool_call_id=call.id)
    if result.pinned:
        message.pinned = True
    if result.attachments:
        message.attachments = result.attachments
    return {
        "message": plain(message),
        "tool": call.name,
        "error": result.error is not None,
        "files": result.files,
        "seconds": result.seconds,
        **_attempts(result.attempts),
        **({"outcome": result.outcome} if result.outcome else {}),
        **({"progress": plain(result.progress)} if result.progress else {}),
        **({"handoff": result.handoff} if result.handoff is not None else {}),
        **({"snapshots": [plain(each) for each in result.snapshots]} if result.snapshots else {}),
        **({"run": result.run, "usage": plain(result.usage)} if result.run else {}),
    }


def plain(model: Any) -> dict[str, Any]:
    """Returns a model as JSON values, without fields that were not set, as history stores it several times."""
    found: dict[str, Any] = model.model_dump(mode="json", exclude_unset=True)
    return found


def _attempts(attempts: int) -> dict[str, int]:
    """Returns the field with the number of attempts, if a call needed more than one."""
    return {"attempts": attempts} if attempts > 1 else {}
