"""Embedding of a caller's texts, within limits."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import UsageError
from holdfast.ports.retrieval import Embedder

MAX_TEXTS = 2_048  # in one call; their vectors take 25 MB of memory at 384 dimensions
MAX_CHARS = 32_000  # of a text: about 8,000 tokens, as many as common models accept


Vectors = list[list[float]]
"""One vector per text."""


async def embed_texts(embedder: Embedder | None, texts: Sequence[str]) -> Vectors:
    """Returns one vector per text, in order.

    Args:
        embedder: `None` means that none is configured.
        texts: 1 to 2,048 texts, none blank, each of at most 32,000 characters.

    Raises:
        UsageError: the texts are not accepted, or no embedding model is configured.
        ModelUnavailable: temporary; a retry may succeed.
        ModelRefused: permanent.
    """
    _check(texts)
    if embedder is None:
        raise UsageError(
            "embed needs an embedding model: set EMBEDDING_MODEL, and EMBEDDING_BASE_URL if another server than the "
            "chat model's has it"
        )
    return await embedder.embed(texts)


def _check(texts: object) -> None:
    if isinstance(texts, str):
        raise UsageError("embed takes a list of texts: for a single one, pass [text]")
    if isinstance(texts, bytes | bytearray) or not isinstance(texts, Sequence):
        raise UsageError(f"embed takes a list of texts, not {type(texts).__name__}")
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise UsageError(f"embed takes 1 to {MAX_TEXTS:,} texts in one call, not {len(texts):,}")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise UsageError(f"text {place} of {len(texts)} is not text but {type(text).__name__}")
        if not text.strip():
            raise UsageError(f"text {place} of {len(texts)} is blank: a blank text has no meaning to embed")
        if len(text) > MAX_CHARS:
            raise UsageError(
                f"text {place} of {len(texts)} has {len(text):,} characters, at most {MAX_CHARS:,} are accepted: "
                "split it into passages"
            )
