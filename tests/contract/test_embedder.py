"""The embedder with a real HTTP server that answers and fails on demand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
from starlette.testclient import TestClient

from holdfast.composition.embedder import configured_embedder
from holdfast.errors import ModelError, ModelRefused, ModelUnavailable, SettingsError
from holdfast.models import open_embedder
from holdfast.models.embeddings import BATCH_TEXTS, OpenAIEmbedder
from holdfast.scripted.embedding_wire import EmbeddingRequest
from holdfast.scripted.hashing import HASHING_MODEL, hashed_vector
from holdfast.scripted.server import chat_app
from holdfast.settings import Settings
from holdfast.testing import EmbeddingFault, ModelServer

KEY = "sk-a-secret-key"
DIMENSIONS = 16


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    """A provider."""
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def embedder(server: ModelServer) -> AsyncIterator[OpenAIEmbedder]:
    """An embedder of that provider."""
    made = OpenAIEmbedder(api_key=KEY, base_url=server.url, model="test", dimensions=DIMENSIONS, read_timeout=0.5)
    yield made
    await made.close()


async def test_texts_become_vectors_in_their_order(server: ModelServer, embedder: OpenAIEmbedder) -> None:
    """Each text gets its own vector, in order."""
    texts = [f"text number {number}" for number in range(2 * BATCH_TEXTS + 1)]
    server.embed = lambda request: [hashed_vector(text, request.dimensions) for text in request.texts]
    assert await embedder.embed(texts) == [hashed_vector(text, DIMENSIONS) for text in texts]
    assert [len(request.body["input"]) for request in server.embedding_requests] == [BATCH_TEXTS, BATCH_TEXTS, 1]
    assert server.embedding_requests[0].body["dimensions"] == DIMENSIONS
    assert await embedder.embed([]) == []


async def test_large_texts_go_in_smaller_batches(server: ModelServer, embedder: OpenAIEmbedder) -> None:
    """Requests stay below the size that providers accept."""
    await embedder.embed(["x" * 90_000] * 5)
    assert [len(request.body["input"]) for request in server.embedding_requests] == [2, 2, 1]


async def test_hostile_texts_arrive(server: ModelServer, embedder: OpenAIEmbedder) -> None:
    """Every character reaches the provider, or is replaced where JSON cannot carry it."""
    assert len(await embedder.embed(["a\0b", "a\ud800b", "\U0001f600", "\u2028"])) == 4
    assert server.embedding_requests[0].body["input"][0] == "a\0b"


async def test_a_model_with_one_dimension_is_not_asked_for_another(
    server: ModelServer, embedder: OpenAIEmbedder
) -> None:
    """The dimension is sent only when it was set."""

    def refuse_dimensions(request: EmbeddingRequest) -> list[list[float]] | EmbeddingFault:
        if "dimensions" in request.body:
            return EmbeddingFault(status=400, message="This model does not support specifying dimensions.")
        return [hashed_vector(text, DIMENSIONS) for text in request.texts]

    server.embed = refuse_dimensions
    assert len(await embedder.embed(["a", "b"])) == 2
    await embedder.embed(["c"])
    assert ["dimensions" in request.body for request in server.embedding_requests] == [True, False, False]


@dataclass(frozen=True)
class FaultCase:
    """A fault, and what becomes of it."""

    name: str
    fault: EmbeddingFault
    error: type[ModelError]
    says: str
    retry_after: float | None = None


FAULTS = [
    FaultCase("busy", EmbeddingFault(status=429, headers={"Retry-After": "7"}), ModelUnavailable, "429", 7.0),
    FaultCase("broken", EmbeddingFault(status=500), ModelUnavailable, "500"),
    FaultCase("wrong key", EmbeddingFault(status=401, message=f"bad key {KEY}"), ModelRefused, "OPENAI_API_KEY"),
    FaultCase("unknown model", EmbeddingFault(status=404), ModelRefused, "OPENAI_BASE_URL"),
    FaultCase("refused text", EmbeddingFault(status=400), ModelRefused, "400"),
    FaultCase("too few", EmbeddingFault(count=1), ModelUnavailable, "1 vectors for 2 texts"),
    FaultCase("none", EmbeddingFault(count=0), ModelUnavailable, "0 vectors for 2 texts"),
    FaultCase("wrong dimension", EmbeddingFault(dimensions=3), ModelRefused, "EMBEDDING_DIM=3"),
    FaultCase("silent", EmbeddingFault(hang=True), ModelUnavailable, "sent nothing for 0.5 s"),
]


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
async def test_faults_say_whether_to_try_again(server: ModelServer, embedder: OpenAIEmbedder, case: FaultCase) -> None:
    """Temporary failures are marked as retryable, permanent ones are not, and no key is shown."""
    server.fail_embeddings(case.fault)
    with pytest.raises(case.error, match=case.says) as caught:
        await embedder.embed(["one", "two"])
    assert len(server.embedding_requests) == 1  # Temporal alone retries
    assert KEY not in str(caught.value)
    if isinstance(caught.value, ModelUnavailable):
        assert caught.value.retry_after == case.retry_after
    assert len(await embedder.embed(["one"])) == 1


@pytest.mark.parametrize("case", [[math.inf] * DIMENSIONS, [None] * DIMENSIONS, "text"])
async def test_what_is_no_vector_is_not_taken(server: ModelServer, embedder: OpenAIEmbedder, case: object) -> None:
    """Not-a-number reaches the index."""
    server.embed = lambda _request: [case]  # type: ignore[list-item]
    with pytest.raises(ModelUnavailable, match="embeddings"):
        await embedder.embed(["text"])


async def test_a_server_that_does_not_answer_is_unavailable() -> None:
    """An error of the HTTP client is raised unchanged."""
    embedder = OpenAIEmbedder(api_key=KEY, base_url="http://127.0.0.1:9/v1", model="test", dimensions=DIMENSIONS)
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9"):
        await embedder.embed(["text"])
    await embedder.close()


def test_it_works_in_one_event_loop_after_the_other() -> None:
    """Code with several asyncio.run in a row finds a connection of a loop that is gone."""
    with ModelServer() as server:
        embedder = OpenAIEmbedder(api_key=KEY, base_url=server.url, model="test", dimensions=DIMENSIONS)
        assert len(asyncio.run(embedder.embed(["a"]))) == len(asyncio.run(embedder.embed(["b"]))) == 1


async def test_the_scripted_server_says_what_its_vectors_are(server: ModelServer) -> None:
    """The scripted server says that its vectors are feature hashes."""

    async def answer(*_args: object) -> None:
        raise AssertionError("an embedder must not request chats")

    client = TestClient(chat_app(answer))
    body = {"model": HASHING_MODEL, "input": ["good morning", "good evening"], "dimensions": 8}
    told = client.post("/v1/embeddings", json=body).json()
    assert told["model"] == HASHING_MODEL
    assert [len(item["embedding"]) for item in told["data"]] == [8, 8]
    other = client.post("/v1/embeddings", json=body | {"model": "text-embedding-3-small"})
    assert other.status_code == 400
    assert HASHING_MODEL in other.json()["error"]["message"]


@pytest.mark.parametrize("fields", [{"input": []}, {"input": [""]}, {"input": 3}, {"input": "a", "dimensions": 0}, {}])
async def test_a_malformed_request_is_refused(server: ModelServer, fields: dict[str, object]) -> None:
    """The scripted server answers a malformed request with what it accepts."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{server.url}/embeddings", json={"model": "test", **fields})
    assert answer.status_code == 400
    assert "must be" in answer.json()["error"]["message"] or "empty" in answer.json()["error"]["message"]


def test_hashed_vectors_are_near_where_texts_are() -> None:
    """Similar texts get similar scripted vectors."""

    def similarity(one: str, other: str) -> float:
        pairs = zip(hashed_vector(one, 384), hashed_vector(other, 384), strict=True)
        return sum(a * b for a, b in pairs)

    question = "How is a cancelled run recorded?"
    near = similarity(question, "Cancelling: what the log records of a run that was cancelled.")
    assert near > 0.3 > similarity(question, "The weather in Lisbon is mild.")
    assert similarity(question, question) == pytest.approx(1)
    assert math.hypot(*hashed_vector("", 4)) == pytest.approx(1)


def test_the_settings_name_the_embedder() -> None:
    """Embeddings go to the provider and with the key that the settings name."""
    base = Settings(holdfast_home="nowhere", _env_file=None)
    assert configured_embedder(base) is None
    chat = base.model_copy(update={"openai_base_url": "http://127.0.0.1:9/v1"})
    assert configured_embedder(chat) is None
    own = chat.model_copy(update={"embedding_model": "m", "embedding_dim": 8})
    made = configured_embedder(own)
    assert made is not None
    assert made.name == "m@8"
    with pytest.raises(SettingsError, match="EMBEDDING_BASE_URL"):
        configured_embedder(base.model_copy(update={"embedding_model": "m"}))
    with pytest.raises(SettingsError, match="EMBEDDING_BASE_URL='ftp"):
        configured_embedder(own.model_copy(update={"embedding_base_url": "ftp://x"}))


async def test_another_provider_does_not_get_the_chat_models_key(server: ModelServer) -> None:
    """The key of the chat model is not sent to another provider."""
    embedder = open_embedder(
        model="test",
        dimensions=8,
        base_url=server.url,
        api_key=None,
        openai_api_key=KEY,
        openai_base_url=None,
        openrouter_api_key=None,
    )
    server.fail_embeddings(EmbeddingFault(status=401))
    with pytest.raises(ModelRefused, match="EMBEDDING_API_KEY"):
        await embedder.embed(["a"])
    await embedder.close()
    assert not any(KEY in value for value in server.embedding_requests[0].headers.values())
