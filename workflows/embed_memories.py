"""`EmbedMemories`: computes the vectors of a namespace's memories until none is pending."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.protocol import EmbedRequest
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.inputs import checked_input
    from holdfast.workflows.options import MEMORY_EMBED


@workflow.defn(name=names.EMBED_MEMORIES)
class EmbedMemories:
    """Started by a worker when memories are pending, one per namespace at a time; retries without a limit."""

    @workflow.run
    async def run(self, wanted: Any = None) -> int:
        """Embeds batch after batch and returns the number of memories.

        Args:
            wanted: an EmbedRequest; validated here, so that a malformed one fails the workflow instead of blocking it.

        Raises:
            ApplicationError: `wanted` is not an EmbedRequest.
        """
        request = checked_input(EmbedRequest, wanted, name=names.EMBED_MEMORIES, example='{"namespace": "shared"}')
        done = batches = 0
        while embedded := await self._embed_batch(request):
            done, batches = done + embedded, batches + 1
            if batches == request.batches:
                workflow.continue_as_new(request.model_copy(update={"done": request.done + done}))
        return request.done + done

    async def _embed_batch(self, request: EmbedRequest) -> int:
        return await call_activity(
            names.MEMORY_EMBED,
            request.namespace,
            int,
            summary=f"the next that wait in {request.namespace}",
            **MEMORY_EMBED,
        )
