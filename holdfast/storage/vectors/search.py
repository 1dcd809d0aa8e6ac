"""Searches of one namespace in the database: by its index, and by comparing with everything."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterable

from holdfast._util.blocking import run_blocking
from holdfast.ports.retrieval import VectorMatch
from holdfast.storage.database import Database, StatementFailed, WriteConflict
from holdfast.storage.database.surql import statement
from holdfast.storage.vectors.checks import check_dimension, norm_of
from holdfast.storage.vectors.pages import pages
from holdfast.storage.vectors.ranking import Ranking
from holdfast.storage.vectors.rows import Row, record_from
from holdfast.storage.vectors.space import Spaces, fill

ALL = statement("holdfast.storage.vectors", "all")
BACKLOG = statement("holdfast.storage.vectors", "backlog")
HAVING = statement("holdfast.storage.vectors", "having")
NEAREST = statement("holdfast.storage.vectors", "nearest")
FREQUENCY = "SELECT count() FROM (SELECT VALUE id FROM vector WHERE facets.* CONTAINS $facet LIMIT $limit) GROUP ALL"

EXACT_UP_TO = 400  # vectors that a filter leaves; comparing with so many takes as long as asking the index, some 40 ms
EF = 200  # candidates that the index keeps; 150 is the smallest number with a recall@10 of 0.99 on random vectors
EF_SHARE = 25  # a candidate for so many vectors of the index, once that is more
SPARE = 10  # results beyond those asked for: some are deleted, and equal scores at the end are told apart by id
WIDER = 4  # times as many results, where too many of them do not count
WIDEST = 1_000  # largest result of the index; for more, comparing with all vectors is as fast


class Search:
    """One query of a namespace.

    Args:
        database: where the vectors are.
        namespace: its name.
        spaces: find its space.
        vector: to compare with.
        k: how many results.
        facets: that all results have.
    """

    def __init__(
        self,
        database: Database,
        namespace: str,
        spaces: Spaces,
        vector: array[float],
        *,
        k: int,
        facets: frozenset[str],
    ) -> None:
        self._database, self._namespace, self._spaces = database, namespace, spaces
        self._vector, self._k = vector, k
        self._facets = sorted(facets)

    async def matches(self) -> list[VectorMatch]:
        """The nearest, best first.

        Raises:
            UsageError: the vector is not of the namespace's dimension.
            WriteConflict: the index was replaced meanwhile; searching again will help.
        """
        space = await self._spaces.find()
        if space is None:
            return []
        check_dimension(len(self._vector), space.dimension, self._namespace)
        found = await self._filtered() if self._facets else None
        if found is None and space.nearest is not None:
            found = await self._by_index(space.nearest, ef=max(EF, space.learned // EF_SHARE))
        return await self._compared() if found is None else found

    async def _filtered(self) -> list[VectorMatch] | None:
        """All that have the facets, compared; None where they are many."""
        counts = {facet: await self._count(facet) for facet in self._facets}
        rarest = min(counts, key=counts.__getitem__)
        if counts[rarest] > EXACT_UP_TO:
            return None
        [rows] = await self._database.run(HAVING, rarest=rarest, facets=self._facets)
        return await self._ranked(rows)

    async def _count(self, facet: str) -> int:
        """Returns how many vectors have a facet, at most one too many: to count 5,000 takes the server 0.1 s."""
        [rows] = await self._database.run(FREQUENCY, facet=facet, limit=EXACT_UP_TO + 1)
        return int(rows[0]["count"]) if rows else 0

    async def _by_index(self, nearest: str, ef: int) -> list[VectorMatch] | None:
        """The best of what the index knows and of what it does not; None where only comparing with all will do."""
        backlog = pages(self._database, BACKLOG, self._namespace)
        unknown = [written["row"] async for page in backlog for written in page]
        width = self._k * WIDER if self._facets else self._k + SPARE
        while width <= WIDEST:
            known = await self._nearest(nearest, width, max(ef, width))
            if len(known) < width:
                return None
            fitting = self._fitting([*known, *unknown])
            if len(fitting) >= self._k:
                return await self._ranked(fitting)
            width *= WIDER
        return None

    def _fitting(self, rows: list[Row]) -> list[Row]:
        """Returns the rows that exist and have the facets, each once."""
        wanted = set(self._facets)
        there = {row["id"].id[1]: row for row in rows if row and row.get("id")}
        return [row for row in there.values() if wanted.issubset(row["facets"])]

    async def _nearest(self, nearest: str, width: int, ef: int) -> list[Row]:
        text = fill(NEAREST, nearest=nearest, k=width, ef=ef)
        norm = norm_of(self._vector)
        unit = [number / norm for number in self._vector]
        try:
            _, rows = await self._database.run(text, space=self._spaces.row, unit=unit)
        except WriteConflict:
            raise
        except StatementFailed:  # as a rule, that it takes too long
            return []
        return list(rows)

    async def _ranked(self, rows: list[Row]) -> list[VectorMatch]:
        return await self._best(_once(rows))

    async def _compared(self) -> list[VectorMatch]:
        return await self._best(pages(self._database, ALL, self._namespace, facets=self._facets))

    async def _best(self, batches: AsyncIterable[list[Row]]) -> list[VectorMatch]:
        ranking = Ranking(self._vector, self._k)
        async for rows in batches:
            await run_blocking(_show, ranking, rows)
        return ranking.matches()


async def _once(rows: list[Row]) -> AsyncIterable[list[Row]]:
    yield rows


def _show(ranking: Ranking, rows: list[Row]) -> None:
    ranking.add(map(record_from, rows))
