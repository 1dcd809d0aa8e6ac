"""Text memory on every backend: texts are found by words immediately, and by meaning once embedded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import ModelRefused, ModelUnavailable
from holdfast.models.embeddings import OpenAIEmbedder
from holdfast.scripted.embedding_wire import EmbeddingRequest
from holdfast.scripted.hashing import hashed_vector
from holdfast.storage.edge_cases import EDGE_CASES, EdgeCase
from holdfast.storage.memory import Embedding, TextMemory
from holdfast.storage.memory.surreal import WRITE_ROWS
from holdfast.storage.persistence import open_persistence
from holdfast.testing import EmbeddingFault, ModelServer
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import slow

BACKENDS = ("memory://", "surrealkv://", "ws://", *slow("mem://"))
DIMENSIONS = 64

NOTES = {
    "invoice": "The customer Meyer pays invoices only after a written reminder.",
    "deploy": "Deployments happen on Tuesdays; the rollback script is in tools/rollback.sh.",
    "haus": "Das Haus in der Lindenstraße hat drei Etagen und zwei Gärten.",
    "coffee": "The coffee machine on the second floor needs descaling every month.",
}


@pytest.fixture(scope="module")
def surreal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurrealServer]:
    """A SurrealDB server of this module's own."""
    with SurrealServer.find(tmp_path_factory.mktemp("surreal")) as running:
        yield running


@pytest.fixture
async def provider() -> AsyncIterator[ModelServer]:
    """Makes the vectors."""
    async with ModelServer() as running:
        yield running


class Backend:
    """One backend, opened as often as a test likes; what is kept outlives each opening but that in memory."""

    def __init__(self, url: str, provider: ModelServer, **options: Any) -> None:
        self.url = url
        self._provider = provider
        self._options = options

    @asynccontextmanager
    async def opened(self, model: str | None = "test") -> AsyncIterator[TextMemory]:
        """Text memory with an embedding model, or without."""
        embedder = model and OpenAIEmbedder(
            api_key="test", base_url=self._provider.url, model=model, dimensions=DIMENSIONS, read_timeout=5
        )
        persistence = open_persistence(self.url, embedder=embedder or None, **self._options)
        try:
            yield persistence.memories
        finally:
            await persistence.close()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, provider: ModelServer, tmp_path: Path) -> Backend:
    """Each backend in turn."""
    url: str = request.param
    if url == "ws://":
        server: SurrealServer = request.getfixturevalue("surreal")
        return Backend(server.url, provider, username=USERNAME, password=PASSWORD, database=tmp_path.name)
    return Backend(f"{url}{tmp_path}/a folder" if url == "surrealkv://" else url, provider)


async def embed_all(memories: TextMemory, namespace: str = "shared") -> int:
    """Embeds pending memories and returns their number."""
    embedding, done = Embedding(memories), 0
    while embedded := await embedding.next_batch(namespace):
        done += embedded
    return done


async def ids(memories: TextMemory, query: str, *namespaces: str, top_k: int = 5, **filters: Any) -> list[str]:
    """Ids of what a search finds."""
    wanted = filters or None
    found = await memories.search(query, top_k, namespaces=namespaces or ("shared",), filter=wanted)
    return [match.id for match in found]


async def fill(memories: TextMemory) -> None:
    """Adds the notes under their names."""
    for name, text in NOTES.items():
        await memories.add("shared", text, {"topic": name}, id=name)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("invoice reminders", ["invoice"]),
        ("DEPLOYMENT", ["deploy"]),
        ("Häuser", ["haus"]),
        ("hauser garten", ["haus"]),
        ("what about the coffee machines?", ["coffee"]),
        ("zebra", []),
        ("deploy zebra", ["deploy"]),
        ("😀", []),
        ("rollback.sh", ["deploy"]),
        ("'; DELETE memory; -- ⟩ ` $word \\ @0@ <svg>", []),
    ],
)
async def test_words_find_what_has_them(backend: Backend, query: str, expected: list[str]) -> None:
    """Words find the memories that contain them; no query is interpreted as a statement."""
    async with backend.opened(model=None) as memories:
        await fill(memories)
        found = await memories.search(query, namespaces=["shared"])
        assert [match.id for match in found] == expected
        assert all(match.found_by == ["text"] for match in found)
        assert await memories.count("shared") == len(NOTES)


async def test_more_and_rarer_words_come_first(backend: Backend) -> None:
    """Memories with more and rarer words of the query rank first."""
    async with backend.opened(model=None) as memories:
        for number in range(20):
            await memories.add("shared", f"filler text number {number}", id=f"filler-{number}")
        await memories.add("shared", "filler about turbines", id="rare")
        await memories.add("shared", "turbines and gearboxes", id="both")
        assert (await ids(memories, "turbine gearbox filler"))[:2] == ["both", "rare"]


async def test_adding_again_changes_nothing(backend: Backend, provider: ModelServer) -> None:
    """Adding the same memory again changes nothing and costs no second vector."""
    async with backend.opened() as memories:
        first = await memories.add("shared", "text", {"a": 1})
        assert await memories.add_many("shared", ["text", "text"], [{"a": 1}, {"a": 1}]) == [first, first]
        await embed_all(memories)
        requests = len(provider.embedding_requests)
        assert await memories.add("shared", "text", {"a": 1}) == first
        assert await memories.count("shared") == 1
        assert await embed_all(memories) == 0
        assert len(provider.embedding_requests) == requests
        assert await memories.add("shared", "text", {"a": 2}) != first


async def test_an_id_of_ones_own_replaces(backend: Backend) -> None:
    """A memory with an explicit id replaces the previous text, its words and its vector."""
    async with backend.opened() as memories:
        await memories.add("shared", "apples and pears", id="fruit")
        await embed_all(memories)
        await memories.add("shared", "engines and turbines", id="fruit")
        assert await ids(memories, "turbines") == ["fruit"]
        kept = await memories.get("shared", "fruit")
        assert kept is not None
        assert (kept.text, kept.embedded_by) == ("engines and turbines", None)
        await embed_all(memories)
        [match] = await memories.search("turbine engines", namespaces=["shared"])
        assert match.found_by == ["text", "vector"]


async def test_meaning_finds_once_it_is_embedded(backend: Backend) -> None:
    """Once embedded, memories are found by meaning and by words."""
    async with backend.opened() as memories:
        await fill(memories)
        assert await ids(memories, "redeployments") == []  # not a form that stemmers know
        assert await embed_all(memories) == len(NOTES)
        [first, *_] = await memories.search("redeployments", namespaces=["shared"])
        assert (first.id, first.found_by) == ("deploy", ["vector"])
        [first, *_] = await memories.search("reminder for invoices", namespaces=["shared"])
        assert (first.id, first.found_by) == ("invoice", ["text", "vector"])
        kept = await memories.get("shared", "invoice")
        assert kept is not None
        assert kept.embedded_by == memories.embedder == f"test@{DIMENSIONS}"


async def test_namespaces_are_apart(backend: Backend) -> None:
    """An agent finds only memories of the namespaces that it asks for."""
    async with backend.opened() as memories:
        await memories.add("agent/a", "the secret of a", id="1")
        await memories.add("agent/b", "the secret of b", id="1")
        await memories.add("shared", "a secret for all", id="1")
        for namespace in ("agent/a", "agent/b", "shared"):
            await embed_all(memories, namespace)
        found = await memories.search("secret", namespaces=["agent/a", "shared"])
        assert {match.text for match in found} == {"the secret of a", "a secret for all"}
        assert await ids(memories, "secret", "agent/nobody") == []
        assert await memories.delete("agent/a", "1")
        assert await memories.get("agent/b", "1") is not None


async def test_filters_hold_for_words_and_meaning(backend: Backend) -> None:
    """Filters apply to both rankings and leave as many matches as were requested."""
    async with backend.opened() as memories:
        texts = [f"report number {number}" for number in range(120)]
        await memories.add_many("shared", texts, [{"year": number, "final": number == 70} for number in range(120)])
        await embed_all(memories)
        found = await memories.search("report", namespaces=["shared"], filter={"final": True})
        assert [match.metadata["year"] for match in found] == [70]
        assert await ids(memories, "report", final=True, year=71) == []
        assert len(await ids(memories, "report", final=1)) == 0


async def test_what_is_deleted_is_gone(backend: Backend) -> None:
    """A deleted memory is found neither by words nor by meaning."""
    async with backend.opened() as memories:
        await fill(memories)
        await embed_all(memories)
        assert await memories.delete("shared", "coffee") is True
        assert await memories.delete("shared", "coffee") is False
        assert await memories.get("shared", "coffee") is None
        assert "coffee" not in await ids(memories, "coffee machine descaling")
        assert await memories.count("shared") == len(NOTES) - 1


@pytest.mark.parametrize("case", EDGE_CASES, ids=lambda case: case.name)
async def test_unusual_values_come_back(backend: Backend, case: EdgeCase) -> None:
    """Texts and metadata are returned exactly."""
    async with backend.opened() as memories:
        text = f"odd {case.value}" if isinstance(case.value, str) and len(case.value) < 60_000 else "odd"
        try:
            kept = await memories.add("shared", text, {"value": case.value})
        except ValueError:
            return  # refused in words; see the tests of what is refused
        found = await memories.get("shared", kept)
        assert found is not None
        assert found.text == text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        if "surrogate" not in case.name and "unusual keys" not in case.name:
            assert found.metadata == {"value": case.value}
        assert await embed_all(memories) == 1
        assert await ids(memories, "odd", value=case.value) == [kept]


async def test_pages_are_whole_and_in_order(backend: Backend) -> None:
    """Pages list every memory once, in order."""
    async with backend.opened(model=None) as memories:
        count = 2 * WRITE_ROWS + 3
        added = await memories.add_many("shared", [f"text {number}" for number in range(count)])
        await memories.add("shared2", "not of this namespace")
        pages, after = [], ""
        while page := await memories.list("shared", after=after, limit=10):
            pages += [memory.id for memory in page]
            after = page[-1].id
        assert pages == sorted(added)
        assert await memories.count("shared") == count


async def test_many_at_once_are_all_kept(backend: Backend) -> None:
    """Concurrent writers of one namespace lose no memory."""
    async with backend.opened(model=None) as memories:
        await asyncio.gather(*(memories.add("shared", f"note {number}") for number in range(40)))
        assert await memories.count("shared") == 40
        assert len(await ids(memories, "note", top_k=100)) == 40


async def test_a_frequent_query_is_remembered_until_something_changes(backend: Backend, provider: ModelServer) -> None:
    """A repeated query is answered from the cache until something changes."""
    async with backend.opened() as memories:
        await fill(memories)
        await embed_all(memories)
        first = await memories.search("coffee", namespaces=["shared"])
        requests = len(provider.embedding_requests)
        first[0].metadata["topic"] = "changed by the caller"
        again = await memories.search("coffee", namespaces=["shared"])
        assert again[0].metadata == {"topic": "coffee"}
        await memories.add("shared", "coffee beans are bought at Müller's", id="beans")
        assert "beans" in await ids(memories, "coffee")
        await memories.delete("shared", "beans")
        assert "beans" not in await ids(memories, "coffee")
        assert len(provider.embedding_requests) == requests  # the query's vector is remembered too


async def test_a_write_of_another_process_is_noticed(provider: ModelServer, surreal: SurrealServer) -> None:
    """A write by another process invalidates the cache."""
    backend = Backend(surreal.url, provider, username=USERNAME, password=PASSWORD, database="two")
    async with backend.opened() as here, backend.opened() as there:
        await here.add("shared", "the first note", id="1")
        assert await ids(there, "note") == ["1"]
        await here.add("shared", "the second note", id="2")
        assert sorted(await ids(there, "note")) == ["1", "2"]
        await embed_all(here)
        [match] = await there.search("second", 1, namespaces=["shared"])
        assert match.found_by == ["text", "vector"]


async def test_an_embedding_model_that_is_unavailable_costs_nothing_but_meaning(
    backend: Backend, provider: ModelServer
) -> None:
    """While the embedding model is unavailable, words still find; nothing is lost or cached."""
    async with backend.opened() as memories:
        await fill(memories)
        provider.fail_embeddings(EmbeddingFault(status=503), EmbeddingFault(count=1))
        embedding = Embedding(memories)
        for _ in range(2):
            with pytest.raises(ModelUnavailable):
                await embedding.next_batch("shared")
        assert await embed_all(memories) == len(NOTES)
        provider.fail_embeddings(EmbeddingFault(status=503))
        assert [match.found_by for match in await memories.search("coffee", namespaces=["shared"])] == [["text"]]
        [first, *_] = await memories.search("coffee", namespaces=["shared"])
        assert first.found_by == ["text", "vector"]


async def test_a_text_that_the_model_refuses_holds_up_no_other(backend: Backend, provider: ModelServer) -> None:
    """A text that the model refuses does not block the others."""

    def refuse_bad(request: EmbeddingRequest) -> list[list[float]] | EmbeddingFault:
        if any("bad" in text for text in request.texts):
            return EmbeddingFault(status=400, message="the input is too long")
        return [hashed_vector(text, request.dimensions) for text in request.texts]

    provider.embed = refuse_bad
    async with backend.opened() as memories:
        await memories.add_many("shared", [*(f"good {number}" for number in range(10)), "bad"])
        assert await embed_all(memories) == 11
        listed = await memories.list("shared")
        assert [memory.text for memory in listed if memory.fault] == ["bad"]
        assert all(memory.embedded_by for memory in listed if memory.text != "bad")
        assert len(await ids(memories, "bad")) >= 1


async def test_a_wrong_key_marks_no_text(backend: Backend, provider: ModelServer) -> None:
    """After a wrong key is corrected, every text gets its vector."""
    provider.embed = lambda _request: EmbeddingFault(status=401)
    async with backend.opened() as memories:
        await memories.add("shared", "text")
        with pytest.raises(ModelRefused, match="OPENAI_API_KEY"):
            await embed_all(memories)
        assert [memory.fault for memory in await memories.list("shared")] == [None]


@pytest.fixture
async def two_models(provider: ModelServer) -> AsyncIterator[tuple[TextMemory, TextMemory]]:
    """One memory as two workers see it, of which the second has another embedding model."""
    persistence = open_persistence("memory://")
    memories = [
        TextMemory.of(
            persistence.memories.table,
            persistence.vectors,
            OpenAIEmbedder(api_key="test", base_url=provider.url, model=name, dimensions=size),
        )
        for name, size in (("one", 8), ("two", 64))
    ]
    yield memories[0], memories[1]
    for each in memories:
        await each.close()


async def test_another_model_embeds_all_anew(two_models: tuple[TextMemory, TextMemory]) -> None:
    """With another embedding model every memory is embedded again."""
    one, two = two_models
    await fill(one)
    assert await embed_all(one) == len(NOTES)
    assert [space.name for space in await Embedding(two).waiting()] == ["shared"]
    assert await embed_all(two) == len(NOTES)
    [first, *_] = await two.search("redeployments", namespaces=["shared"])
    assert (first.id, first.found_by) == ("deploy", ["vector"])
    assert [memory.embedded_by for memory in await two.list("shared")] == ["two@64"] * len(NOTES)


async def test_two_workers_with_different_models_do_not_embed_for_ever(
    two_models: tuple[TextMemory, TextMemory],
) -> None:
    """Two workers with different models do not undo each other's work."""
    older, newer = map(Embedding, two_models)
    await fill(two_models[0])
    assert await older.next_batch("shared") == len(NOTES)
    assert await newer.next_batch("shared") == len(NOTES)
    assert await older.next_batch("shared") == 0
    assert await older.waiting() == []
    assert await newer.waiting() == []


async def test_a_memory_without_a_vector_is_not_outranked_for_that(backend: Backend) -> None:
    """A memory that was just added and has the words is found before those that are merely embedded."""
    async with backend.opened() as memories:
        for number in range(8):
            await memories.add("shared", f"turbine blades are stored in hall {number}", id=f"hall-{number}")
        await embed_all(memories)
        await memories.add("shared", "turbine turbine: the turbine was sold", id="sold")
        [first, *_] = await memories.search("turbine sold", namespaces=["shared"])
        assert (first.id, first.found_by) == ("sold", ["text"])
        await embed_all(memories)
        [first, *_] = await memories.search("turbine sold", namespaces=["shared"])
        assert (first.id, first.found_by) == ("sold", ["text", "vector"])


async def test_adding_can_wait_for_the_vector(backend: Backend, provider: ModelServer) -> None:
    """With `wait`, a memory is found by its meaning when `add` returns, without a worker."""
    async with backend.opened() as memories:
        await memories.add("shared", NOTES["deploy"], id="deploy", wait=True)
        [match] = await memories.search("redeployments", namespaces=["shared"])
        assert (match.id, match.found_by) == ("deploy", ["vector"])
        asked = len(provider.embedding_requests)
        await memories.add("shared", NOTES["deploy"], id="deploy", wait=True)
        assert len(provider.embedding_requests) == asked, "what has its vector is not embedded again"
        assert await embed_all(memories) == 0


async def test_adding_does_not_fail_for_lack_of_a_vector(provider: ModelServer, tmp_path: Path) -> None:
    """If the model is unavailable, the memory is stored all the same, and a worker embeds it later."""
    backend = Backend(f"surrealkv://{tmp_path}/a folder", provider)
    async with backend.opened() as memories:
        provider.fail_embeddings(EmbeddingFault(status=503))
        await memories.add("shared", NOTES["deploy"], id="deploy", wait=True)
        assert await ids(memories, "deployment") == ["deploy"]
        assert await embed_all(memories) == 1


async def test_it_is_all_there_after_a_restart(provider: ModelServer, tmp_path: Path) -> None:
    """Texts, index, vectors and pending work survive a restart."""
    backend = Backend(f"surrealkv://{tmp_path}/a folder", provider)
    chapters = [f"Chapter {number} of the handbook" for number in range(40)]
    async with backend.opened() as memories:
        await fill(memories)
        await memories.add_many("book", chapters)
        await embed_all(memories)
        await embed_all(memories, "book")
        await memories.add("shared", "a late note about turbines", id="late")
    async with backend.opened() as memories:
        assert await ids(memories, "turbines", top_k=1) == ["late"]
        found = await memories.search("chapter", 100, namespaces=["book"])
        assert sum("text" in match.found_by for match in found) == len(chapters)
        for chapter in chapters:
            [match] = await memories.search(chapter, 1, namespaces=["book"])
            assert (match.text, match.found_by) == (chapter, ["text", "vector"])
        assert await embed_all(memories) == 1
        assert (await ids(memories, "redeployments", top_k=1)) == ["deploy"]
