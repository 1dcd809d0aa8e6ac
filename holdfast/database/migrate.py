"""Brings a database to the schema that this version knows."""

from __future__ import annotations

from surrealdb import RecordID

from holdfast.database.connection import OVERTAKEN, Execute, Overtaken, StatementFailed
from holdfast.database.surql import migrations
from holdfast.errors import StoreUnavailable

MIGRATIONS = migrations()
"""In order; the n-th makes version n. A migration that has been released is never changed."""

VERSION_ROW = RecordID("schema_version", "mirror")
_TRANSACTION = f"""
BEGIN;
IF ($row.version ?? 0) != $number - 1 {{ THROW '{OVERTAKEN}' }};
DEFINE TABLE IF NOT EXISTS schema_version COMMENT 'how far the migrations have come';
-- the migration
UPSERT $row SET version = $number, applied_at = time::now() RETURN NONE;
COMMIT;
"""
ATTEMPTS = 5  # several workers may start on one server at once: each attempt finds what another has done


async def migrate(execute: Execute) -> None:
    """Applies the migrations that the database lacks, each in a transaction with its version.

    Safe when several processes do it at once: the version row is what they contend for.

    Raises:
        StoreUnavailable: the database was made by a newer version, or a migration failed.
    """
    for _ in range(ATTEMPTS):
        try:
            await _apply(execute)
        except Overtaken:
            continue
        except StatementFailed as error:
            raise StoreUnavailable(f"the schema of the mirror cannot be applied: {error}") from error
        return
    raise StoreUnavailable("the schema of the mirror cannot be applied: other processes keep changing it")


async def _apply(execute: Execute) -> None:
    [version] = await execute("RETURN $row.version ?? 0", row=VERSION_ROW)
    if version > len(MIGRATIONS):
        raise StoreUnavailable(
            f"the database has schema version {version}, this version of Holdfast knows {len(MIGRATIONS)}: "
            "use the newer one that made it, or another database"
        )
    for number, text in enumerate(MIGRATIONS[version:], start=version + 1):
        await execute(_TRANSACTION.replace("-- the migration", text), row=VERSION_ROW, number=number)
