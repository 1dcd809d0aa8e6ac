"""Construction of the chat models of a worker from the settings: one adapter for each provider, behind one router."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast.errors import ModelRefused, UsageError
from holdfast.model_reply import ModelReply
from holdfast.models import SCRIPTED_MODEL, open_model
from holdfast.models.breaker import Breaker, BreakerLimits
from holdfast.models.cache import CachedModel, ReplyCache
from holdfast.models.guard import GuardedModel
from holdfast.models.outside import refuse_outside
from holdfast.models.prices import BundledPrices
from holdfast.models.router import ModelRouter
from holdfast.models.routes import OPENAI, OPENROUTER, Routes
from holdfast.ports import ChatModel
from holdfast.ports.model_access import ModelAccess
from holdfast.settings import Settings, revealed
from holdfast.stack.model_server import base_url
from holdfast.stack.state import StateFile
from holdfast.storage.persistence import Persistence
from holdfast.types import AgentSpec, Message

log = get_logger(__name__)

CACHE_FOLDER = "model-cache"  # of the state folder
ON, OFF = ("on", "1", "true", "yes"), ("off", "0", "false", "no", "")
PROVIDERS_VARIABLE, KEYS_VARIABLE = "MODEL_PROVIDERS", "MODEL_PROVIDER_KEYS"


class ModelQueues:
    """Task queues of the model calls whose rate is limited.

    Args:
        settings: the providers and their limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._routes = routes(settings)
        self.rates: dict[str, float] = {}
        """Calls per second by task queue."""
        self._queues: dict[str, str] = {}
        for provider in self._routes.providers:
            if rate := settings.call_rate(provider):
                self._queues[provider] = queue = f"{settings.temporal_task_queue}/models/{provider}"
                self.rates[queue] = rate

    def find(self, model: str | None) -> str | None:
        """Returns the task queue of a model's calls; `None` means that their rate is not limited.

        Args:
            model: name of the model; `None` stands for the default model.
        """
        return self._queues.get(self._routes.find(model).provider) if self._queues else None


def routes(settings: Settings) -> Routes:
    """Returns the routes to the providers that are configured; the first of them is the default."""
    has_openai = bool(settings.openai_api_key or settings.openai_base_url)
    builtin = [OPENAI] if has_openai or not settings.openrouter_api_key else []
    builtin += [OPENROUTER] if settings.openrouter_api_key else []
    return Routes((*builtin, *settings.providers), builtin[0], has_plain_names=settings.openai_base_url is None)


def configured_models(settings: Settings) -> ChatModel:
    """Creates the models of all providers.

    Raises:
        UsageError: no model is configured, or a value cannot be used.
    """
    if not settings.holdfast_allow_model_requests:
        refuse_outside()
    limits, found = _breaker_limits(settings), routes(settings)
    providers = {
        name: GuardedModel(
            _adapter(settings, name), Breaker(name, limits), max_concurrent=settings.max_concurrent_calls(name)
        )
        for name in found.providers
    }
    return _cached(settings, ModelRouter(found, providers), settings.default_model, settings.model_providers or "")


def model_access(settings: Settings, model: ChatModel, persistence: Persistence) -> ModelAccess:
    """Returns what the model calls of a process are built from.

    Args:
        settings: prices and limits.
        model: the models that the settings name.
        persistence: has the daily budgets.

    Raises:
        UsageError: see `configured_models`.
    """
    _cache_folder(settings)
    if not settings.holdfast_allow_model_requests:
        refuse_outside()
    return ModelAccess(
        model=model,
        provider=settings.model_provider,
        default_model=settings.default_model,
        of_client=lambda client: _of_client(settings, client),
        client_model=settings.client_model,
        prices=lambda provider: BundledPrices(provider, settings.model_prices),
        day_budgets=persistence.day_budgets,
        day_limits=settings.day_budgets,
        patience=timedelta(seconds=settings.model_patience),
        retry_for=timedelta(minutes=settings.model_retry_minutes),
        queue_of=ModelQueues(settings).find,
        context_window=settings.model_context_window,
    )


class LazyModel(ChatModel):
    """The models that the settings name, from the first call on: most programs that serve agents make none.

    Args:
        settings: the providers; without one, calls go to the scripted model server of the local stack.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: ChatModel | None = None

    @override
    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        on_text: Callable[[str], None],
        max_output: int | None = None,
    ) -> ModelReply:
        if self._model is None:
            self._model = await asyncio.to_thread(self._open)
        return await self._model.complete(spec, messages, on_text=on_text, max_output=max_output)

    @override
    async def close(self) -> None:
        if self._model is not None:
            await self._model.close()

    def _open(self) -> ChatModel:
        if self._settings.has_model:
            return configured_models(self._settings)
        url = scripted_server(self._settings)
        if url is None:
            raise ModelRefused("no model is configured: set OPENAI_API_KEY, OPENAI_BASE_URL or OPENROUTER_API_KEY")
        return open_model(
            openai_api_key=None, openai_base_url=url, openrouter_api_key=None, default_model=SCRIPTED_MODEL
        )


def scripted_server(settings: Settings) -> str | None:
    """Returns the URL of the scripted model server of the local stack; `None` if it does not run."""
    part = StateFile(settings.holdfast_home.absolute()).read().alive("model")
    return base_url(part) if part else None


def _breaker_limits(settings: Settings) -> BreakerLimits:
    return BreakerLimits(settings.model_breaker_failures, settings.model_breaker_window, settings.model_breaker_seconds)


def _cached(settings: Settings, model: ChatModel, default_model: str, place: str) -> ChatModel:
    """Returns a model whose replies are cached, if the settings say so.

    Raises:
        UsageError: payloads are encrypted, and the cache would not be.
    """
    folder = _cache_folder(settings)
    if folder is None:
        return model
    log.info("replies of models are cached", folder=str(folder))
    scope = f"{settings.model_provider} {place}"
    return CachedModel(model, ReplyCache(folder), scope=scope, default_model=default_model)


def _cache_folder(settings: Settings) -> Path | None:
    wanted = settings.model_response_cache or OFF[0]
    if wanted.lower() in OFF:
        return None
    if settings.holdfast_encryption_key is not None:
        raise UsageError("MODEL_RESPONSE_CACHE keeps replies in plain text: unset it, or HOLDFAST_ENCRYPTION_KEY")
    folder = settings.holdfast_home / CACHE_FOLDER if wanted.lower() in ON else Path(wanted).expanduser()
    return folder.absolute()


def _of_client(settings: Settings, client: Any) -> ChatModel:
    """Creates the adapter of a client that an agent brings."""
    from holdfast.models.own_client import ClientModel  # noqa: PLC0415  loads the SDK, in half a second

    model = ClientModel(client, settings.client_model)
    guarded = GuardedModel(model, Breaker(str(client.base_url.host), _breaker_limits(settings)))
    return _cached(settings, guarded, settings.client_model, str(client.base_url))


def _adapter(settings: Settings, name: str) -> ChatModel:
    """Creates the adapter of one provider.

    Raises:
        UsageError: a value cannot be used.
    """
    default, idle = settings.default_model, settings.model_idle_timeout
    if name not in settings.providers:
        is_openai = name == OPENAI
        return open_model(
            openai_api_key=revealed(settings.openai_api_key) if is_openai else None,
            openai_base_url=settings.openai_base_url if is_openai else None,
            openrouter_api_key=None if is_openai else revealed(settings.openrouter_api_key),
            default_model=default,
            idle_timeout=idle,
        )
    from holdfast.models.openai import OpenAIModel  # noqa: PLC0415  loads the SDK, in half a second

    url, key = settings.providers[name]
    try:
        return OpenAIModel(
            api_key=key or "no-key",
            base_url=url,
            default_model=default,
            idle_timeout=idle,
            key_variable=KEYS_VARIABLE,
            url_variable=PROVIDERS_VARIABLE,
        )
    except UsageError as error:
        raise UsageError(f"provider {name!r}: {error}") from None
