"""Language and embedding models: adapters for OpenAI-compatible providers, and the scripted model server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.ports import ChatModel
    from holdfast.ports.retrieval import Embedder

OPENROUTER_URL = "https://openrouter.ai/api/v1"
SCRIPTED_MODEL = "scripted"
"""The name by which the scripted model answers."""
SCRIPTED_MARK = "scripted model, not a language model"
"""Stands in every text that the scripted model says, so that nobody takes it for more."""

_NO_KEY = "no-key"  # the client insists on a key; servers that need none ignore it


def open_model(
    *,
    openai_api_key: str | None,
    openai_base_url: str | None,
    openrouter_api_key: str | None,
    default_model: str,
) -> ChatModel:
    """Makes the model adapter that the settings ask for; OpenAI's settings win over OpenRouter's.

    Args:
        openai_api_key: may be None when `openai_base_url` names a server that needs no key.
        openai_base_url: an OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1; None: OpenAI's own.
        openrouter_api_key: used when neither of the above is given.
        default_model: answers where neither run nor agent names a model.

    Raises:
        UsageError: no model is configured, or a value cannot be used.
    """
    from holdfast.models.openai import OpenAIModel  # noqa: PLC0415  loads the SDK, which takes half a second

    if openai_api_key or openai_base_url:
        return OpenAIModel(api_key=openai_api_key or _NO_KEY, base_url=openai_base_url, default_model=default_model)
    if openrouter_api_key:
        return OpenAIModel(
            api_key=openrouter_api_key,
            base_url=OPENROUTER_URL,
            default_model=default_model,
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
    """Makes the embedder that the settings ask for: at an address of its own, else where the chat model is.

    Args:
        model: the embedding model.
        dimensions: what its vectors have.
        base_url: an OpenAI-compatible endpoint for embeddings alone; None: where the chat model is.
        api_key: its key; with `base_url`, None is for servers that need none, so that no other provider gets
            the chat model's key.
        openai_api_key: see `open_model`; likewise the others.
        openai_base_url: see `open_model`.
        openrouter_api_key: see `open_model`.

    Raises:
        UsageError: nothing says where the model is, or a value cannot be used.
    """
    from holdfast.models.embeddings import OpenAIEmbedder  # noqa: PLC0415  loads the SDK, which takes half a second

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
