"""Construction of the client for tables of a program's own."""

from __future__ import annotations

from holdfast.composition.persistence import shared_persistence
from holdfast.errors import UsageError
from holdfast.storage.own_tables import OwnTables


def get_surrealdb_client() -> OwnTables:
    """Returns a client for tables of your own in the configured database, which is connected when it is first used.

        async with get_surrealdb_client() as db:
            await db.create("customer:meyer", {"name": "Meyer"})

    The connection is shared by the process, and works in every event loop; `close` ends the use of the client alone.

    Raises:
        UsageError: everything is in memory, or in a store that is not SurrealDB.
        SettingsError: a setting has a bad value.
    """
    database = shared_persistence().database
    if database is None:
        raise UsageError(
            "get_surrealdb_client needs SurrealDB, which these settings do not use: set "
            "STATE_PERSISTENCE_BACKEND=surrealdb, and SURREALDB_URL to a SurrealDB if it names another store"
        )
    return OwnTables(database)
