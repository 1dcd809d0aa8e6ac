"""Guard of a provider's models: its breaker, and the limit on concurrent calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from typing_extensions import override

from holdfast.model_reply import ModelReply
from holdfast.models.breaker import Breaker
from holdfast.ports import ChatModel
from holdfast.types import AgentSpec, Message


class GuardedModel(ChatModel):
    """A `ChatModel` whose calls wait for their turn, and are refused while the provider is down.

    Args:
        model: makes the calls.
        breaker: the provider's.
        max_concurrent: maximum number of concurrent calls; `None` means no limit.
    """

    def __init__(self, model: ChatModel, breaker: Breaker, *, max_concurrent: int | None = None) -> None:
        self._model = model
        self._breaker = breaker
        self._turns: AbstractAsyncContextManager[object]
        self._turns = asyncio.Semaphore(max_concurrent) if max_concurrent else nullcontext()

    @override
    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        on_text: Callable[[str], None],
        max_output: int | None = None,
    ) -> ModelReply:
        async with self._turns:
            with self._breaker.call() as answers:

                def heard(piece: str) -> None:
                    if self._breaker.is_open:
                        answers()
                    on_text(piece)

                return await self._model.complete(spec, messages, on_text=heard, max_output=max_output)

    @override
    async def close(self) -> None:
        await self._model.close()
