"""Embeddings for a server: requests, responses and their wire format, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.scripted.api_request import ApiRequest
from holdfast.scripted.hashing import hashed_vector

DEFAULT_DIMENSIONS = 384
MAX_DIMENSIONS = 4096
MAX_TEXTS = 2048  # in one request, as with OpenAI


class EmbeddingRequest(ApiRequest):
    """A request for embeddings."""

    @property
    def texts(self) -> list[str]:
        """The texts to embed."""
        wanted = self.body["input"]
        return [wanted] if isinstance(wanted, str) else list(wanted)

    @property
    def dimensions(self) -> int:
        """The requested dimensions of the vectors."""
        return int(self.body.get("dimensions") or DEFAULT_DIMENSIONS)

    def fault(self) -> str | None:
        """Returns what is wrong with the request; `None` if it is valid."""
        wanted = self.body.get("input")
        if not (isinstance(wanted, str) or _is_texts(wanted)):
            return f"'input' must be a text, or a list of 1 to {MAX_TEXTS} texts"
        if not all(self.texts):
            return "'input' holds an empty text"
        dimensions = self.body.get("dimensions", DEFAULT_DIMENSIONS)
        if not isinstance(dimensions, int) or isinstance(dimensions, bool) or not 1 <= dimensions <= MAX_DIMENSIONS:
            return f"'dimensions' must be a whole number from 1 to {MAX_DIMENSIONS}"
        if self.body.get("encoding_format", "float") != "float":
            return "'encoding_format' must be 'float'"
        return None


def _is_texts(wanted: object) -> bool:
    return isinstance(wanted, list) and 0 < len(wanted) <= MAX_TEXTS and all(isinstance(text, str) for text in wanted)


def hashed_vectors(request: EmbeddingRequest) -> list[list[float]]:
    """Returns the vectors of the texts by feature hashing."""
    return [hashed_vector(text, request.dimensions) for text in request.texts]


def embeddings(request: EmbeddingRequest, vectors: Sequence[Sequence[float]], model: str) -> dict[str, Any]:
    """Returns the body of a response."""
    data = [{"object": "embedding", "index": index, "embedding": list(vector)} for index, vector in enumerate(vectors)]
    tokens = sum(len(text) for text in request.texts) // 4 + 1  # a common rule of thumb
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}
