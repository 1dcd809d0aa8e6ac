"""Language models: the adapter for OpenAI-compatible providers, and the scripted model server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.ports import ChatModel

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
