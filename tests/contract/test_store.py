"""Stores: each fulfills the contract of the Store port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.ports import Store
from holdfast.storage.mirror import open_store
from holdfast.storage.mirror.conformance import CHECKS, Check, check_store, run_check
from holdfast.storage.mirror.memory import MemoryStore
from holdfast.types import RunId, TranscriptRef
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import slow

EMBEDDED = ("memory://", "surrealkv://", *slow("mem://"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("url", EMBEDDED)
async def test_store_conforms(url: str, check: Check, tmp_path: Path) -> None:
    """Every store in this process passes the conformance suite of the port."""
    await run_check(check, lambda: open_store(f"{url}{tmp_path}/a folder" if url == "surrealkv://" else url))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurrealServer]:
    """A SurrealDB server of this module's own."""
    with SurrealServer.find(tmp_path_factory.mktemp("surreal")) as running:
        yield running


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("scheme", ["ws", *slow("http")])
async def test_store_on_a_server_conforms(scheme: str, check: Check, server: SurrealServer) -> None:
    """A store on a SurrealDB server passes the conformance suite of the port."""
    url = server.url.replace("ws", scheme, 1)
    await run_check(check, lambda: open_store(url, username=USERNAME, password=PASSWORD))


async def test_the_suite_runs_without_pytest() -> None:
    """Users can test a store of their own with one call."""
    await check_store(MemoryStore)


async def test_the_suite_finds_a_store_that_forgets() -> None:
    """The conformance suite fails for a store that loses entries."""

    class Forgetful(MemoryStore):
        async def head(self, run_id: RunId) -> TranscriptRef | None:
            return await super().head(f"not {run_id}")

    with pytest.raises(AssertionError, match="guarantee violated: the head is the newest entry"):
        await check_store(Forgetful)


def test_stores_are_stores() -> None:
    """Each store has every method of the port."""
    assert all(isinstance(open_store(url), Store) for url in ("memory://", "mem://", "surrealkv://x", "ws://localhost"))


@pytest.mark.parametrize("url", ["", "surrealdb", "postgres://x", "surrealkv://", "ws://", "ws://me:secret@host"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    """A URL of no store is refused, without showing its password."""
    with pytest.raises(UsageError) as refusal:
        open_store(url)
    assert "secret" not in str(refusal.value)
    assert "://" in str(refusal.value) or "user or password" in str(refusal.value)
