"""A namespace of vectors in the database: its dimension and the table with its index."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass

from surrealdb import RecordID

from holdfast.errors import StoreUnavailable
from holdfast.storage.database import Database, WriteConflict
from holdfast.storage.vectors.rows import key

READ = "SELECT dimension, nearest, learned FROM ONLY $space"
CREATE = """BEGIN;
IF $space.dimension != NONE { THROW 'holdfast: write conflict' };
CREATE $space CONTENT { dimension: $dimension } RETURN NONE;
COMMIT"""


@dataclass(frozen=True)
class Space:
    """A namespace that has a dimension.

    Attributes:
        table: what its tables are called, but for the last letter.
        dimension: of its vectors.
        nearest: the table with its index; None: it has none yet.
        learned: how many vectors are in the index.
    """

    table: str
    dimension: int
    nearest: str | None
    learned: int

    @property
    def other_table(self) -> str:
        """Where the next index is built. There are two names, so that what a dead builder leaves is found."""
        return f"{self.table}_{'b' if self.nearest == f'{self.table}_a' else 'a'}"


class Spaces:
    """Finds, and makes, the space of one namespace.

    Args:
        database: where it is.
        namespace: whose.
    """

    def __init__(self, database: Database, namespace: str) -> None:
        self._database, self._namespace = database, namespace
        self.row = RecordID("vector_namespace", [key(namespace)])
        # A digest can stand in a statement's text, where a namespace's name must not.
        self._table = f"vector_{hashlib.sha256(key(namespace).encode()).hexdigest()[:32]}"
        self._dimension: int | None = None

    def forget(self) -> None:
        """Discards the cached dimension: the database may have been replaced by another one."""
        self._dimension = None

    async def find(self) -> Space | None:
        """The space as it is now; None: the namespace has never had a vector."""
        [found] = await self._database.run(READ, space=self.row)
        self._dimension = found["dimension"] if found else None
        if self._dimension is None:
            return None
        return Space(self._table, self._dimension, found.get("nearest"), found.get("learned") or 0)

    async def claim(self, dimension: int) -> int:
        """The namespace's dimension, made this one where there is none; of several at once one decides.

        Raises:
            StoreUnavailable: it cannot be made.
        """
        if self._dimension != dimension and await self.find() is None:
            with contextlib.suppress(WriteConflict):
                await self._database.run(CREATE, space=self.row, dimension=dimension)
            await self.find()
        if self._dimension is None:
            raise StoreUnavailable(
                f"the database did not create the vector namespace {self._namespace!r}: check that its user may write"
            )
        return self._dimension


def fill(text: str, **words: str | int) -> str:
    """Puts words of our own making into a statement, where the database takes no value."""
    for name, word in words.items():
        text = text.replace(f"<{name}>", str(word))
    return text
