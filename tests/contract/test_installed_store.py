"""Stores of other packages: they are used like the included ones."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.storage.mirror import open_store
from holdfast.storage.mirror.conformance import check_store
from holdfast.storage.persistence import open_persistence

MODULE = """
from holdfast.storage.mirror import MemoryStore

class DiaryStore(MemoryStore):
    def __init__(self, url, **options):
        super().__init__()
        self.url, self.options = url, options

def half(url, **options):
    return object()
"""
ENTRY_POINTS = """
[holdfast.stores]
diary = diary_store:DiaryStore
half = diary_store:half
gone = diary_store:nothing
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package `diary-store`, as an installer leaves it."""
    (tmp_path / "diary_store.py").write_text(MODULE)
    information = tmp_path / "diary_store-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: diary-store\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()


@pytest.mark.usefixtures("distribution")
async def test_installed_store_is_found_by_its_scheme() -> None:
    """An installed package can add a store, which gets its URL and options."""
    store = open_store("diary://chunk_store/3", namespace="mine")
    assert vars(store)["url"] == "diary://chunk_store/3"
    assert vars(store)["options"] == {"namespace": "mine"}
    await check_store(lambda: open_store("diary://"))


@pytest.mark.usefixtures("distribution")
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("dairy://x", "use one of memory://, mem://.* diary://, gone://, half://"),
        ("diary", "unknown scheme"),
        ("gone://x", r"diary_store:nothing\) cannot be loaded"),
        ("half://x", r"diary_store:half\) lacks a method"),
    ],
)
def test_store_that_cannot_be_opened_is_reported(url: str, words: str) -> None:
    """An unknown scheme and a faulty package are reported where the store is opened."""
    with pytest.raises(UsageError, match=words):
        open_store(url)


@pytest.mark.usefixtures("distribution")
def test_installed_store_holds_the_mirror_of_a_worker() -> None:
    """A worker can use an installed store by its URL in the settings."""
    store = open_persistence("diary://chunk_store").store
    assert type(store).__name__ == "DiaryStore"
    with pytest.raises(UsageError, match=r"dairy://.*unknown scheme"):
        open_persistence("dairy://chunk_store")
