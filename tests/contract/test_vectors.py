"""Every shipped vector store keeps every promise of its port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import Agent, RegistryProtocol, VectorStore
from holdfast.composition.persistence import close_shared_persistence
from holdfast.ports.retrieval import StoredVector, VectorStoreProtocol
from holdfast.storage.persistence import open_persistence
from holdfast.storage.vectors import MemoryVectors, MemoryVectorStore
from holdfast.storage.vectors.conformance import CHECKS, Check, check_vectors
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import slow

EMBEDDED = ("memory://", "surrealkv://", *slow("mem://"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurrealServer]:
    """A SurrealDB server of this module's own."""
    with SurrealServer.find(tmp_path_factory.mktemp("surreal")) as running:
        yield running


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("url", EMBEDDED)
async def test_vectors_conform(url: str, check: Check, tmp_path: Path) -> None:
    """Every vector store in this process passes the conformance suite of the port."""
    kept = open_persistence(f"{url}{tmp_path}/data" if url == "surrealkv://" else url)
    try:
        await check(kept.vectors)
    finally:
        await kept.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_vectors_on_a_server_conform(check: Check, server: SurrealServer) -> None:
    """The vector store on a SurrealDB server passes the conformance suite of the port."""
    kept = open_persistence(server.url, username=USERNAME, password=PASSWORD)
    try:
        await check(kept.vectors)
    finally:
        await kept.close()


async def test_the_suite_runs_without_pytest() -> None:
    """Users can test a store of their own with one call."""
    await check_vectors(MemoryVectors())


async def test_the_suite_finds_a_store_that_forgets() -> None:
    """The conformance suite fails for a store that loses vectors."""

    class Forgetful(MemoryVectorStore):
        async def delete(self, id: str) -> bool:  # noqa: A002, ARG002 - the port's
            return True

    with pytest.raises(AssertionError, match="guarantee violated: delete says that it was not there"):
        await check_vectors(Forgetful)


@pytest.mark.parametrize("url", EMBEDDED)
def test_stores_are_stores(url: str) -> None:
    """Each store has every method of the port."""
    assert isinstance(open_persistence(f"{url}x" if url == "surrealkv://" else url).vectors("x"), VectorStoreProtocol)
    assert isinstance(VectorStore(), VectorStoreProtocol)


@pytest.mark.parametrize("url", EMBEDDED)
async def test_a_vector_store_is_a_registry_too(url: str, tmp_path: Path) -> None:
    """One object serves agents and vectors of one backend."""
    kept = open_persistence(f"{url}{tmp_path}/data" if url == "surrealkv://" else url)
    store, other = VectorStore(persistence=kept), VectorStore("other", persistence=kept)
    assert isinstance(store, RegistryProtocol)
    await store.register(Agent(name="helper", system_prompt="You help."))
    await store.upsert("helper", [1, 2], {"kind": "vector"})
    await other.upsert("helper", [1, 2, 3])
    assert await store.list_agents() == ["helper"]
    assert await other.exists("helper")
    assert (await store.get("helper")).name == "helper"
    with pytest.raises(KeyError, match="Agent 'nobody' not found"):
        await store.get("nobody")
    assert await store.get_agent("nobody") is None
    assert [match.metadata for match in await store.query([1, 2])] == [{"kind": "vector"}]
    assert await store.unregister("helper")
    assert await store.get_vector("helper") is not None
    assert await store.delete("helper")
    assert not await store.delete("helper")
    await store.upsert_many([StoredVector(id="many", vector=[3, 4])])
    assert await store.get_vector("many") == StoredVector(id="many", vector=[3, 4])
    await kept.close()


async def test_it_is_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store made without arguments is on the configured backend, each time."""
    monkeypatch.setenv("SURREALDB_URL", f"surrealkv://{tmp_path}/data")
    await close_shared_persistence()
    try:
        await VectorStore().upsert("a", [1, 2])
        assert await VectorStore("default").get_vector("a") is not None
        assert await VectorStore("another").get_vector("a") is None
    finally:
        await close_shared_persistence()
    assert (tmp_path / "data").is_dir()


@pytest.mark.parametrize("namespace", ["", None, 5, "x" * 5_000])
def test_a_namespace_must_be_a_text(namespace: object) -> None:
    """A namespace that is not text is refused at once."""
    with pytest.raises(ValueError, match="the namespace"):
        VectorStore(namespace)  # type: ignore[arg-type]
