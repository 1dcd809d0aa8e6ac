"""Language and embedding models: adapters for OpenAI-compatible providers, and the scripted model server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.names import SCRIPTED_MODEL as SCRIPTED_MODEL

if TYPE_CHECKING:
    from holdfast.ports import ChatModel
    from holdfast.ports.retrieval import Embedder

OPENROUTER_URL = "https://openrouter.ai/api/v1"
SCRIPTED_MARK = "scripted model, not a language model"
"""Part of every text of the scripted model, so that it is not mistaken for a language model."""

_NO_KEY = "no-key"  # the client requires a key; servers without keys ignore it


def open_model(
    *,
    openai_api_key: str | None,
    openai_base_url: str | None,
    openrouter_api_key: str | None,
    default_model: str,
    idle_timeout: float | None = None,
) -> ChatModel:
    """Creates the adapter of the chat model; settings for OpenAI have precedence over those for OpenRouter.

    Args:
        openai_api_key: may be `None` if `openai_base_url` names a server without keys.
        openai_base_url: an OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1; `None` means OpenAI's.
        openrouter_api_key: used if neither of the above is given.
        default_model: used if neither the run nor the agent names a model.
        idle_timeout: seconds without a byte after which a call fails; `None` means the adapter's default.

    Raises:
        UsageError: no model is configured, or a value cannot be used.
    """
    from holdfast.models.openai import IDLE_TIMEOUT, OpenAIModel  # noqa: PLC0415  loads the SDK, in half a second

    idle_timeout = idle_timeout or IDLE_TIMEOUT
    if openai_api_key or openai_base_url:
        return OpenAIModel(
            api_key=openai_api_key or _NO_KEY,
            base_url=openai_base_url,
            default_model=default_model,
            idle_timeout=idle_timeout,
        )
    if openrouter_api_key:
        return OpenAIModel(
            api_key=openrouter_api_key,
            base_url=OPENROUTER_URL,
            default_model=default_model,
            idle_timeout=idle_timeout,
            key_variable="OPENROUTER_API_KEY",
        )
    raise UsageError("no model is configured: set OPENAI_API_KEY, OPENAI_BASE_URL or OPENROUTER_API_KEY")


def open_embedder(
    *,
    model: str,
    dimensions: int,
    base_url: str | None,
    api_key: str | None,
    openai_api_key: str | None,
    openai_base_url: str | None,
    openrouter_api_key: str | None,
) -> Embedder:
    """Creates the embedder, at its own endpoint or at the chat model's.

    Args:
        model: the embedding model.
        dimensions: number of dimensions of its vectors.
        base_url: an OpenAI-compatible endpoint for embeddings; `None` means the chat model's.
        api_key: key of `base_url`; `None` means a server without keys, so that the chat model's key is not sent to
            another provider.
        openai_api_key: see `open_model`; likewise the others.
        openai_base_url: see `open_model`.
        openrouter_api_key: see `open_model`.

    Raises:
        UsageError: the model has no provider, or a value cannot be used.
    """
    from holdfast.models.embeddings import OpenAIEmbedder  # noqa: PLC0415  loads an HTTP client

    if base_url:
        return OpenAIEmbedder(
            api_key=api_key or _NO_KEY,
            base_url=base_url,
            model=model,
            dimensions=dimensions,
            key_variable="EMBEDDING_API_KEY",
            url_variable="EMBEDDING_BASE_URL",
        )
    if openai_api_key or openai_base_url or (api_key and not openrouter_api_key):
        key = api_key or openai_api_key or _NO_KEY
        return OpenAIEmbedder(api_key=key, base_url=openai_base_url, model=model, dimensions=dimensions)
    if openrouter_api_key:
        return OpenAIEmbedder(
            api_key=api_key or openrouter_api_key,
            base_url=OPENROUTER_URL,
            model=model,
            dimensions=dimensions,
            key_variable="OPENROUTER_API_KEY",
        )
    raise UsageError(
        f"EMBEDDING_MODEL={model!r} has no provider: set EMBEDDING_BASE_URL or EMBEDDING_API_KEY, "
        "or configure a chat model whose provider makes embeddings too"
    )
