"""Compaction of a context by the model: a model call whose reply is the summary."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from holdfast._util.logger import get_logger
from holdfast.activities.compaction import plan, summary_request
from holdfast.errors import ContextOverflow, ModelRefused
from holdfast.messages import CompactionOrder
from holdfast.model_reply import ModelReply
from holdfast.types import Context, Usage

log = get_logger(__name__)

PARTS = (1.0, 0.4, 0.15)
"""Of the text to summarize: what is tried one after the other if the model refuses it as too large."""


async def compact(
    context: Context, order: CompactionOrder, complete: Callable[[Context], Awaitable[ModelReply]]
) -> ModelReply:
    """Returns what is taken out of a context, with the summary as the content of the reply.

    If clearing results is enough, no model is called. If no summary can be made, the reply says why.

    Args:
        context: the whole context.
        order: its size, and what is asked for.
        complete: calls the model.

    Raises:
        ModelUnavailable: temporary; a retry may succeed.
    """
    started = time.monotonic()
    cut = plan(context, order)
    error = None
    for part in PARTS if cut.summarized else ():
        try:
            reply = await complete(summary_request(context, cut, order, part=part))
        except ContextOverflow as overflow:
            error = f"the part to summarize is too large for the model: {overflow}"
        except ModelRefused as refusal:
            error = f"the model makes no summary: {refusal}"
            break
        else:
            reply.content, reply.tool_calls = reply.content.strip(), []
            error = None if reply.content else f"the model's summary is empty (finish_reason {reply.finish_reason})"
            reply.compaction = cut.settled(context, reply.content, error)
            return reply
    if error:
        log.warning("the context is compacted without a summary", reason=error)
    seconds = round(time.monotonic() - started, 3)
    model = next(iter(context.spec.models), "unknown")
    reply = ModelReply(content="", model=model, finish_reason="stop", usage=Usage(), seconds=seconds)
    reply.compaction = cut.settled(context, "", error)
    return reply
