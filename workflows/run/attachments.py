"""Attachments that requests and messages carry themselves: stored before the log of the run refers to them."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.attachments import Attachment
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.options import STORE_APPEND
    from holdfast.workflows.run.messages import MessageQueue


async def stored(attachments: list[Attachment]) -> list[Attachment]:
    """Returns attachments whose contents are in the store, which is retried until it is available."""
    if not any(each.data for each in attachments):
        return attachments
    summary = f"store {len(attachments)} attachments"
    return await call_activity(names.CONTENT_KEEP, (attachments,), list[Attachment], summary=summary, **STORE_APPEND)


async def store_queued(queue: MessageQueue) -> None:
    """Stores the contents that messages carry; until then, the queue does not hand them out."""
    while (message := queue.unstored) is not None:
        queue.settle(message, await stored(message.attachments))
