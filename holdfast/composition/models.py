"""Construction of the chat models of a worker from the settings: one adapter for each provider, behind one router."""

from __future__ import annotations

from holdfast.errors import UsageError
from holdfast.models import open_model
from holdfast.models.breaker import Breaker, BreakerLimits
from holdfast.models.guard import GuardedModel
from holdfast.models.outside import refuse_outside
from holdfast.models.router import ModelRouter
from holdfast.models.routes import OPENAI, OPENROUTER, Routes
from holdfast.ports import ChatModel
from holdfast.settings import Settings, revealed

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
    limits = BreakerLimits(
        settings.model_breaker_failures, settings.model_breaker_window, settings.model_breaker_seconds
    )
    found = routes(settings)
    providers = {
        name: GuardedModel(
            _adapter(settings, name), Breaker(name, limits), max_concurrent=settings.max_concurrent_calls(name)
        )
        for name in found.providers
    }
    return ModelRouter(found, providers)


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
