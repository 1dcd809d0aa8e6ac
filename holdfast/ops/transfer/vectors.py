"""Export and import of vectors; their search indexes are rebuilt after an import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import groupby

from typing_extensions import override

from holdfast.errors import UsageError
from holdfast.ops.transfer.bundle import Item
from holdfast.ops.transfer.part import Part, Tally
from holdfast.ops.transfer.storable import check_storable
from holdfast.ports.retrieval import StoredVector, VectorStoreProtocol
from holdfast.storage.database import Database
from holdfast.storage.vectors.checks import MAX_DIMENSION, check_name
from holdfast.storage.vectors.index import ALL
from holdfast.storage.vectors.pages import pages
from holdfast.storage.vectors.record import record
from holdfast.storage.vectors.rows import record_from, row, row_id, text_of
from holdfast.storage.vectors.space import Spaces

NAMESPACES = "SELECT id, dimension FROM vector_namespace"
EXISTING = "SELECT id, exact, norm, metadata, facets FROM $rows"


class Vectors(Part):
    """All vector namespaces of a database.

    Args:
        database: stores the vectors.
        open_vectors: returns the vector store of a namespace.
    """

    name = "vectors"
    kinds = ("vector_namespace", "vector")

    def __init__(self, database: Database, open_vectors: Callable[[str], VectorStoreProtocol]) -> None:
        self._database = database
        self._open = open_vectors

    @override
    async def dump(self) -> AsyncIterator[Item]:
        [spaces] = await self._database.run(NAMESPACES)
        for space in spaces:
            namespace = text_of(space["id"].id[0])
            yield {"kind": "vector_namespace", "namespace": namespace, "dimension": space["dimension"]}
            async for rows in pages(self._database, ALL, namespace, facets=[]):
                for each in rows:
                    yield {"kind": "vector", "namespace": namespace, **record_from(each).stored().model_dump()}

    @override
    def check(self, item: Item) -> None:
        namespace = _namespace(item)
        if item["kind"] == "vector_namespace":
            _dimension(item)
        else:
            vector = _vector(item)
            check_storable(row(namespace, record(namespace, vector.id, vector.vector, vector.metadata)))

    @override
    async def load(self, items: Sequence[Item]) -> Tally:
        tally = Tally()
        if items[0]["kind"] == "vector_namespace":
            for item in items:
                await self._claim(_namespace(item), _dimension(item), tally)
            return tally
        for namespace, group in groupby(items, _namespace):
            await self._load(namespace, [_vector(item) for item in group], tally)
        return tally

    async def _claim(self, namespace: str, dimension: int, tally: Tally) -> None:
        here = await Spaces(self._database, namespace).claim(dimension)
        if here != dimension:
            tally.kept.append(f"vector namespace {namespace!r} has dimension {here} here, and {dimension} in the file")

    async def _load(self, namespace: str, vectors: list[StoredVector], tally: Tally) -> None:
        ids = [row_id(namespace, vector.id) for vector in vectors]
        [rows] = await self._database.run(EXISTING, rows=ids)
        here = {(stored := record_from(row).stored()).id: stored for row in rows}
        new = [vector for vector in vectors if vector.id not in here]
        for vector in vectors:
            if vector.id not in here:
                continue
            if _text(here[vector.id]) == _text(vector):
                tally.same += 1
            else:
                tally.kept.append(f"vector {vector.id!r} of namespace {namespace!r} differs from the stored one")
        try:
            await self._open(namespace).upsert_many(new)
        except UsageError as error:
            tally.kept.append(f"{len(new)} vectors of namespace {namespace!r}: {error}")
        else:
            tally.written += len(new)


def _text(vector: StoredVector) -> str:
    """Returns a text for comparison, in which 1 differs from 1.0, and 0.0 from -0.0."""
    return repr((vector.vector, vector.metadata))


def _vector(item: Item) -> StoredVector:
    return StoredVector.model_validate({name: item.get(name) for name in ("id", "vector", "metadata")})


def _namespace(item: Item) -> str:
    namespace = item.get("namespace")
    if not isinstance(namespace, str):
        raise ValueError("`namespace` is missing, or not a string")  # noqa: TRY004 - the data is wrong, not the code
    return check_name("a namespace", namespace)


def _dimension(item: Item) -> int:
    dimension = item.get("dimension")
    if not isinstance(dimension, int) or not 1 <= dimension <= MAX_DIMENSION:
        raise ValueError(f"`dimension` is missing, or not a number from 1 to {MAX_DIMENSION}")
    return dimension
