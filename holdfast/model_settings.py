"""Settings of models and their providers."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

from holdfast._util.named_values import ALL, named_values
from holdfast.bounds import MAX_NAME, MAX_SECONDS
from holdfast.names import SCRIPTED_MODEL
from holdfast.pricing import ModelPrice, parse_prices

OPENAI_HOST, OPENROUTER_HOST = "api.openai.com", "openrouter.ai"
DEFAULT_OPENAI_MODEL = "gpt-5-mini"
DEFAULT_OPENROUTER_MODEL = "openai/gpt-5-mini"
MAX_LIMIT = 1_000_000  # calls per second, or concurrent ones


class ModelSettings(BaseSettings):
    """The part of the settings that says which models are asked, where, and how."""

    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    openai_model: str | None = None
    openrouter_api_key: SecretStr | None = None
    openrouter_strong_model: str | None = None

    holdfast_allow_model_requests: bool = True
    """Whether models may be asked that are on another machine; tests of the pytest plugin refuse it."""
    model_idle_timeout: float = Field(default=300, gt=0, le=3600)
    """Seconds without a byte from the model, after which a call is repeated."""
    model_retry_minutes: float = Field(default=60, ge=0, le=1_000_000)
    """How long a model call is retried while its provider is unavailable; the run's time limit may end it earlier."""

    model_context_window: int | None = Field(default=None, ge=1_000, le=1_000_000_000)
    """The most tokens that models accept whose agents do not say so; `None` means as the bundled price list says."""
    model_prices: Annotated[dict[str, ModelPrice], NoDecode] = {}
    """Prices by model, which take precedence over the bundled ones; a JSON object, or a file with one."""
    model_response_cache: str | None = None
    """`on`, or a folder, for development: replies are kept in it, and used again for the same requests."""
    model_providers: str | None = None
    """Further providers, `NAME=URL`, comma-separated; their models are named `NAME/MODEL`."""
    model_provider_keys: SecretStr | None = None
    """Their API keys, `NAME=KEY`, comma-separated."""
    model_patience: float = Field(default=10, ge=0, le=MAX_SECONDS, allow_inf_nan=False)
    """Seconds that a call waits for a model with a rate limit before the next of its models is asked."""
    model_breaker_failures: int = Field(default=10, ge=0, le=10_000)
    """Consecutive failures after which a worker stops calling a provider for a while; 0 means never."""
    model_breaker_window: float = Field(default=60, gt=0, le=MAX_SECONDS, allow_inf_nan=False)
    """Seconds within which they happen."""
    model_breaker_seconds: float = Field(default=60, gt=0, le=3600)
    """Maximum seconds between two calls that try whether the provider answers again."""
    model_calls_per_second: str | None = None
    """Rate of model calls over all workers: a number for each provider, or `NAME=NUMBER`, comma-separated; `None`
    means no limit."""
    max_concurrent_model_calls: str | None = None
    """Maximum number of concurrent model calls of one worker, in the same form."""

    embedding_model: str | None = None
    """Model for the vectors of text memory; `None` means that memories are found by their words only."""
    embedding_dim: int = Field(default=384, ge=1, le=4096)
    """Dimensions of its vectors."""
    embedding_base_url: str | None = None
    """Its endpoint, if it differs from the chat model's."""
    embedding_api_key: SecretStr | None = None
    """Its key, if it differs from the chat model's."""

    @field_validator("model_prices", mode="before")
    @classmethod
    def _parse_prices(cls, value: object) -> object:
        return parse_prices(value) if isinstance(value, str) else value

    @field_validator("model_calls_per_second", "max_concurrent_model_calls", mode="before")
    @classmethod
    def _limits(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = f"{value:g}"
        if isinstance(value, str):
            _numbers(value, int if info.field_name == "max_concurrent_model_calls" else float)
        return value

    @field_validator("model_providers")
    @classmethod
    def _providers(cls, value: str | None) -> str | None:
        if taken := {"openai", "openrouter"} & named_values(value or "").keys():
            variables = ", ".join(f"{name.upper()}_API_KEY" for name in sorted(taken))
            raise ValueError(f"the names openai and openrouter are taken: set {variables}")
        return value

    @field_validator("model_provider_keys")
    @classmethod
    def _provider_keys(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        names = named_values(value.get_secret_value()) if value else {}
        if unknown := names.keys() - named_values(info.data.get("model_providers") or "").keys():
            raise ValueError(f"MODEL_PROVIDERS does not name {', '.join(map(repr, sorted(unknown)))}")
        return value

    @property
    def has_model(self) -> bool:
        """Whether a model is configured; if not, the scripted model is used."""
        return bool(self.openai_api_key or self.openai_base_url or self.openrouter_api_key)

    @property
    def model_provider(self) -> str:
        """`scripted`, or the host of the provider of the models."""
        if self.default_model == SCRIPTED_MODEL:
            return SCRIPTED_MODEL
        if self.openai_base_url:
            return urlsplit(self.openai_base_url.strip()).netloc.rpartition("@")[2][:MAX_NAME]
        return OPENAI_HOST if self.openai_api_key else OPENROUTER_HOST

    @property
    def providers(self) -> dict[str, tuple[str, str | None]]:
        """URL and key of each of the further providers, by name."""
        urls = named_values(self.model_providers or "")
        keys = named_values(self.model_provider_keys.get_secret_value()) if self.model_provider_keys else {}
        return {name: (url, keys.get(name)) for name, url in urls.items()}

    def call_rate(self, provider: str) -> float | None:
        """Model calls per second at a provider, over all workers; `None` means no limit."""
        return _limit_of(self.model_calls_per_second, float, provider)

    def max_concurrent_calls(self, provider: str) -> int | None:
        """Maximum number of concurrent model calls of one worker at a provider; `None` means no limit."""
        limit = _limit_of(self.max_concurrent_model_calls, int, provider)
        return None if limit is None else int(limit)

    @property
    def client_model(self) -> str:
        """The model that is used if an agent brings a client and names no model."""
        return DEFAULT_OPENAI_MODEL if self.default_model == SCRIPTED_MODEL else self.default_model

    @property
    def default_model(self) -> str:
        """The model that is used if neither the run nor the agent names one."""
        if self.openai_api_key or self.openai_base_url:
            return self.openai_model or DEFAULT_OPENAI_MODEL
        if self.openrouter_api_key:
            return self.openrouter_strong_model or DEFAULT_OPENROUTER_MODEL
        return SCRIPTED_MODEL


def _numbers(text: str, kind: type[float]) -> dict[str, float]:
    """Parses numbers by provider.

    Raises:
        ValueError: one is not a positive number of this kind.
    """
    try:
        found = {name: kind(value) for name, value in named_values(text, unnamed=True).items()}
    except (ValueError, OverflowError):
        found = {}
    if not found or not all(0 < number <= MAX_LIMIT for number in found.values()):
        what = "whole number" if kind is int else "number"
        raise ValueError(f"it must be a positive {what}, or a list such as openai=20, groq=5")
    return found


def _limit_of(text: str | None, kind: type[float], provider: str) -> float | None:
    limits = _numbers(text, kind) if text else {}
    return limits.get(provider, limits.get(ALL))
