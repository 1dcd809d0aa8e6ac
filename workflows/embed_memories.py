"""EmbedMemories: gives the memories of a namespace their vectors, until none waits."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from holdfast import names
    from holdfast.errors import ErrorType
    from holdfast.protocol import EmbedRequest
    from holdfast.workflows.options import MEMORY_EMBED


@workflow.defn(name=names.EMBED_MEMORIES)
class EmbedMemories:
    """One per namespace at a time. A worker starts it when memories wait; it is as patient as it needs to be."""

    @workflow.run
    async def run(self, wanted: Any = None) -> int:
        """Embeds batch after batch; gives the number of memories.

        Args:
            wanted: an EmbedRequest; taken as it is, so that a malformed one fails instead of hanging.

        Raises:
            ApplicationError: it is no EmbedRequest.
        """
        request = _checked(wanted)
        done = batches = 0
        while embedded := await self._embed_batch(request):
            done, batches = done + embedded, batches + 1
            if batches == request.batches:
                workflow.continue_as_new(request.model_copy(update={"done": request.done + done}))
        return request.done + done

    async def _embed_batch(self, request: EmbedRequest) -> int:
        embedded: int = await workflow.execute_activity(
            names.MEMORY_EMBED,
            request.namespace,
            result_type=int,
            summary=f"the next that wait in {request.namespace}",
            **MEMORY_EMBED,
        )
        return embedded


def _checked(wanted: object) -> EmbedRequest:
    try:
        return EmbedRequest.model_validate(wanted)
    except ValidationError as error:
        raise ApplicationError(
            f'EmbedMemories takes {{"namespace": "shared"}}: {error.errors()[0]["msg"]}',
            type=ErrorType.INVALID_REQUEST,
            non_retryable=True,
        ) from None
