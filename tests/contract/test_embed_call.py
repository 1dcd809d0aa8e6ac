"""The public call `embed`, with a real HTTP server that answers and fails on demand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from holdfast import Agent, Holdfast, UsageError
from holdfast.embedding import MAX_CHARS, MAX_TEXTS
from holdfast.errors import ModelRefused, ModelUnavailable
from holdfast.models.embeddings import BATCH_TEXTS
from holdfast.scripted.hashing import hashed_vector
from holdfast.testing import EmbeddingFault, ModelServer

DIMENSIONS = 384  # of EMBEDDING_DIM by default


@pytest.fixture
def clerk(model: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """An agent in a program with an embedding model."""
    monkeypatch.setenv("EMBEDDING_MODEL", "test")
    monkeypatch.setenv("EMBEDDING_BASE_URL", model.url)
    monkeypatch.setenv("EMBEDDING_API_KEY", "sk-a-secret-key")
    return Agent(name="clerk")


async def test_texts_are_embedded_in_batches(model: ModelServer, clerk: Agent) -> None:
    """Each text gets its own vector, in order, however many requests that takes."""
    texts = [f"text number {number}" for number in range(MAX_TEXTS)]
    assert await clerk.embed(texts) == [hashed_vector(text, DIMENSIONS) for text in texts]
    assert [len(request.body["input"]) for request in model.embedding_requests] == [BATCH_TEXTS] * 32


async def test_calls_from_several_event_loops_are_answered(clerk: Agent) -> None:
    """Code without an event loop uses the same embedder as the program's own loop, also at the same time."""
    answers = await asyncio.gather(
        clerk.embed(("rope", "anchor")),
        asyncio.to_thread(clerk.sync.embed, ["rope", "anchor"]),
        asyncio.to_thread(asyncio.run, clerk.embed(["rope", "anchor"])),
    )
    assert list(answers) == [[hashed_vector("rope", DIMENSIONS), hashed_vector("anchor", DIMENSIONS)]] * 3


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ("rope", r"list of texts: for a single one, pass \[text\]"),
        (b"rope", "list of texts, not bytes"),
        (None, "list of texts, not NoneType"),
        ({"rope"}, "list of texts, not set"),
        ([], "1 to 2,048 texts in one call, not 0"),
        (["rope"] * (MAX_TEXTS + 1), "1 to 2,048 texts in one call, not 2,049"),
        (["rope", 7], "text 1 of 2 is not text but int"),
        (["rope", None], "text 1 of 2 is not text but NoneType"),
        (["rope", " \n"], "text 1 of 2 is blank"),
        (["x" * (MAX_CHARS + 1)], "32,001 characters, at most 32,000 are accepted: split it"),
    ],
)
async def test_what_is_no_list_of_texts_is_refused(model: ModelServer, clerk: Agent, texts: Any, reason: str) -> None:
    """The error says which text is wrong, and the model is not asked."""
    with pytest.raises(UsageError, match=reason):
        await clerk.embed(texts)
    assert model.embedding_requests == []


async def test_without_an_embedding_model_the_error_names_the_setting(model: ModelServer, hf: Holdfast) -> None:
    """A client and an agent say what to set; a chat model alone is not asked for vectors."""
    for embed in (hf.embed, Agent(name="clerk").embed, Holdfast(hf.temporal).embed):
        with pytest.raises(UsageError, match="set EMBEDDING_MODEL"):
            await embed(["rope"])
    assert model.embedding_requests == []


async def test_a_failure_of_the_model_is_raised(model: ModelServer, clerk: Agent) -> None:
    """Temporary and permanent failures differ, and the call can be repeated."""
    model.fail_embeddings(EmbeddingFault(status=503), EmbeddingFault(status=400, message="no such model"))
    with pytest.raises(ModelUnavailable):
        await clerk.embed(["rope"])
    with pytest.raises(ModelRefused, match="no such model"):
        await clerk.embed(["rope"])
    assert await clerk.embed(["rope"]) == [hashed_vector("rope", DIMENSIONS)]
