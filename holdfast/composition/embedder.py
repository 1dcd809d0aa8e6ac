"""Construction of the embedder from the settings."""

from __future__ import annotations

from holdfast.composition.models import scripted_server
from holdfast.errors import SettingsError, UsageError
from holdfast.models import open_embedder
from holdfast.models.outside import refuse_outside
from holdfast.ports.retrieval import Embedder
from holdfast.scripted.hashing import HASHING_MODEL
from holdfast.settings import Settings, revealed


def configured_embedder(settings: Settings) -> Embedder | None:
    """Creates the embedder; if no model is configured, it is the one of the local stack's scripted model server.

    Returns:
        `None` without an embedding model; memories are then found by their words only.

    Raises:
        SettingsError: the model has no provider, or a value cannot be used.
    """
    model, url = settings.embedding_model, settings.embedding_base_url
    if model in (None, HASHING_MODEL) and url is None and not settings.has_model:
        model, url = HASHING_MODEL, scripted_server(settings)
        if url is None:
            return None
    if model is None:
        return None
    if not settings.holdfast_allow_model_requests:
        refuse_outside()
    try:
        return open_embedder(
            model=model,
            dimensions=settings.embedding_dim,
            base_url=url,
            api_key=revealed(settings.embedding_api_key),
            openai_api_key=revealed(settings.openai_api_key),
            openai_base_url=settings.openai_base_url,
            openrouter_api_key=revealed(settings.openrouter_api_key),
        )
    except UsageError as error:
        raise SettingsError(str(error)) from None
