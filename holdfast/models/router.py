"""Router: a chat model that passes each call to the provider of its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from typing_extensions import override

from holdfast.model_reply import ModelReply
from holdfast.models.routes import Routes
from holdfast.ports import ChatModel
from holdfast.types import AgentSpec, Message


class ModelRouter(ChatModel):
    """The models of several providers.

    Args:
        routes: finds the provider of a model.
        providers: the models of each provider, by its name.
    """

    def __init__(self, routes: Routes, providers: Mapping[str, ChatModel]) -> None:
        self._routes = routes
        self._providers = providers

    @override
    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        on_text: Callable[[str], None],
        max_output: int | None = None,
    ) -> ModelReply:
        name = spec.models[0] if spec.models else None
        route = self._routes.find(name)
        if route.model != spec.model:
            spec = spec.model_copy(update={"model": route.model})
        return await self._providers[route.provider].complete(spec, messages, on_text=on_text, max_output=max_output)

    @override
    async def close(self) -> None:
        for model in self._providers.values():
            await model.close()
