"""What a database keeps of workspaces, for tests."""

from __future__ import annotations

from holdfast.storage.database import Database

TREES = "SELECT VALUE id FROM file_use:[$owner, NONE]..=[$owner, ..]"


async def trees_of(database: Database, owner: str) -> list[str]:
    """The trees that a run needs."""
    [found] = await database.run(TREES, owner=owner)
    return [identity.id[1] for identity in found]
