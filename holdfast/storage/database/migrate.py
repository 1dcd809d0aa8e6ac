"""The schema of a database, and its migrations."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence

from surrealdb import RecordID

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.dialect import Execute
from holdfast.storage.database.errors import WRITE_CONFLICT, StatementFailed, WriteConflict
from holdfast.storage.database.surql import migrations

MIGRATIONS = migrations()
"""In order; the n-th migration leads to version n. A released migration is never changed.

A migration that only adds things is compatible with older workers. One that is not has a line `-- readers: N`, which
names the version that workers must know from then on.
"""
SERVER_MIGRATIONS = migrations(on_server=True)
"""The same with the indexes that only a server has."""

READERS = re.compile(r"^-- readers: (\d+)$", re.MULTILINE)
VERSION_ROW = RecordID("schema_version", "mirror")
_READ = "RETURN [$row.version ?? 0, $row.readers ?? $row.version ?? 0]"
_TRANSACTION = f"""
BEGIN;
IF ($row.version ?? 0) != $number - 1 {{ THROW '{WRITE_CONFLICT}' }};
DEFINE TABLE IF NOT EXISTS schema_version COMMENT 'how far the migrations have come';
-- the migration
UPSERT $row SET version = $number, readers = $readers, applied_at = time::now() RETURN NONE;
COMMIT;
"""
LOST_RACES = 20  # in a row without progress; that many workers may start on one server at once
LOST_RACE_PAUSE = 0.1  # seconds at most before the next attempt


class Schema:
    """The schema after some migrations.

    Args:
        texts: the migrations, in order.
    """

    def __init__(self, texts: Sequence[str] = MIGRATIONS) -> None:
        self._texts = texts

    async def is_done(self, execute: Execute) -> bool:
        """Returns whether a database has this schema, or a newer one that is compatible with this version.

        Raises:
            StoreUnavailable: it has a newer, incompatible one.
        """
        return not await self._missing(execute)

    async def do(self, execute: Execute) -> None:
        """Applies the missing migrations, each in one transaction with its version number.

        Several processes may do it at once: the version row decides which of them applies a migration.

        Raises:
            StoreUnavailable: a newer, incompatible version created the database, or a migration failed.
        """
        lost, before = 0, 0
        while lost < LOST_RACES:
            try:
                missing = await self._missing(execute)
                for number in missing:
                    await self._apply(execute, number)
            except WriteConflict:
                lost = lost + 1 if len(missing) == before else 0
                before = len(missing)
                await asyncio.sleep(random.uniform(0, LOST_RACE_PAUSE))  # noqa: S311
            except StatementFailed as error:
                raise StoreUnavailable(f"the schema of the database cannot be applied: {error}") from error
            else:
                return
        raise StoreUnavailable("the schema of the database cannot be applied: other processes keep changing it")

    async def _missing(self, execute: Execute) -> Sequence[int]:
        """Returns the numbers of the missing migrations."""
        [[version, readers]] = await execute(_READ, row=VERSION_ROW)
        if readers > len(self._texts):
            raise StoreUnavailable(
                f"the database has schema version {version}, which needs a Holdfast that knows version {readers}; this "
                f"one knows {len(self._texts)}. Update Holdfast, or use another database"
            )
        return range(version + 1, len(self._texts) + 1)

    async def _apply(self, execute: Execute, number: int) -> None:
        text = self._texts[number - 1]
        readers = max(int(found) for found in ["1", *READERS.findall("\n".join(self._texts[:number]))])
        statement = _TRANSACTION.replace("-- the migration", text)
        await execute(statement, row=VERSION_ROW, number=number, readers=readers)
