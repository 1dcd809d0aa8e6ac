"""Embedder for OpenAI-compatible endpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from holdfast import _lazy
from holdfast._util.batches import batches
from holdfast.errors import ModelRefused, ModelUnavailable
from holdfast.models.provider import Provider
from holdfast.models.provider_errors import BROKEN
from holdfast.ports.retrieval import Embedder
from holdfast.types import clean_text

if TYPE_CHECKING:
    import openai
else:
    openai = _lazy.load("openai")

READ_TIMEOUT = 60.0  # seconds without a byte; a batch usually takes a second or two, longer on a slow machine
BATCH_TEXTS = 64  # texts in one request; providers accept up to 2,048, small servers fewer
BATCH_CHARS = 200_000  # characters in one request: about 50,000 tokens; providers accept 300,000


class OpenAIEmbedder(Embedder):
    """An `Embedder` on the `openai` client.

    Args:
        api_key: sent to the provider, and removed from error messages that quote it.
        base_url: the endpoint; `None` means OpenAI's.
        model: the embedding model.
        dimensions: number of dimensions, requested if the model supports that; vectors with others are refused.
        read_timeout: seconds without a byte after which a request fails.
        key_variable: the setting that `api_key` comes from, for advice in messages.
        url_variable: the setting that `base_url` comes from, likewise.

    Raises:
        UsageError: the key or the URL cannot be used.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        model: str,
        dimensions: int,
        read_timeout: float = READ_TIMEOUT,
        key_variable: str = "OPENAI_API_KEY",
        url_variable: str = "OPENAI_BASE_URL",
    ) -> None:
        self.name = f"{model}@{dimensions}"
        self._model = model
        self._dimensions = dimensions
        self._url_variable = url_variable
        self._may_choose = True  # until the model answers that its dimensions are fixed
        self._provider = Provider(
            api_key=api_key,
            base_url=base_url,
            read_timeout=read_timeout,
            key_variable=key_variable,
            url_variable=url_variable,
        )

    @override
    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for batch in batches(map(clean_text, texts), most=BATCH_TEXTS, size=BATCH_CHARS, measure=len):
            vectors += self._checked(await self._answer(batch), len(batch))
        return vectors

    async def close(self) -> None:
        """Closes connections."""
        await self._provider.close()

    async def _answer(self, texts: list[str]) -> object:
        try:
            return await self._request(texts)
        except ModelRefused as error:
            if not (self._may_choose and "dimension" in str(error).lower()):
                raise
        self._may_choose = False
        return await self._request(texts)

    async def _request(self, texts: list[str]) -> object:
        body: dict[str, Any] = {"model": self._model, "input": texts, "encoding_format": "float"}
        if self._may_choose:
            body["dimensions"] = self._dimensions
        try:
            client = await self._provider.client()
            return await client.post("/embeddings", body=body, cast_to=object)
        except (openai.OpenAIError, *BROKEN) as error:
            raise self._provider.errors.translated(
                error, self._model
            ) from None  # the cause holds the request, with the key
        except ValueError as error:
            raise ModelUnavailable(f"model {self._model!r} sent a malformed response: {error}") from None

    def _checked(self, answer: object, count: int) -> list[list[float]]:
        try:
            vectors = _vectors(answer)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ModelUnavailable(
                f"model {self._model!r} sent a response without valid embeddings: {reason}; check {self._url_variable}"
            ) from None
        if len(vectors) != count:
            raise ModelUnavailable(f"model {self._model!r} sent {len(vectors)} vectors for {count} texts")
        for vector in vectors:
            if len(vector) != self._dimensions:
                raise ModelRefused(
                    f"model {self._model!r} makes vectors of {len(vector)} dimensions, not {self._dimensions}: "
                    f"set EMBEDDING_DIM={len(vector)}, or use another EMBEDDING_MODEL"
                )
        return vectors


def _vectors(answer: Any) -> list[list[float]]:
    """Returns the vectors in the order of the texts, which may differ from that of the response."""
    items = list(answer["data"])
    by_index = {int(item.get("index", place)): item["embedding"] for place, item in enumerate(items)}
    if sorted(by_index) != list(range(len(items))):
        raise ValueError("the indexes of the vectors are not those of the texts")
    vectors = [[float(value) for value in by_index[index]] for index in range(len(items))]
    if not all(math.isfinite(value) for vector in vectors for value in vector):
        raise ValueError("a vector holds a value that is not a finite number")
    return vectors
