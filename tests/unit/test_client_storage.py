"""Storage of the workers, as a client reaches it."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.composition.reachable import ClientStorage, ProcessStorage, ReachableStorage
from holdfast.errors import StoreUnavailable
from holdfast.settings import Settings


@pytest.mark.parametrize("storage", [ProcessStorage, ReachableStorage])
def test_what_only_this_process_could_read_is_not_stored(storage: type[ClientStorage], tmp_path: Path) -> None:
    """With a database in memory, contents stay in the request, and payloads in Temporal, so that workers see both."""
    reached = storage(Settings(holdfast_home=tmp_path, surrealdb_url="mem://"))
    assert reached.contents() is None
    with pytest.raises(StoreUnavailable, match="SURREALDB_URL"):
        reached.chunk_store()
