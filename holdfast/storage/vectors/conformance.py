"""Conformance checks of vector stores; use them to test your own.

Each check uses a namespace of its own, so that one database may serve them all:

    await check_vectors(MyVectors())

where `MyVectors()(namespace)` returns a VectorStoreProtocol; or, with pytest, one test for each:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_vectors(check):
        await check(MyVectors())
"""

from __future__ import annotations

import asyncio
import math
import uuid
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from holdfast.errors import UsageError
from holdfast.ports.retrieval import StoredVector, VectorMatch, VectorStoreProtocol
from holdfast.storage.vectors.sample import EDGE_CASES_OF_METADATA, HOSTILE_TEXTS, unit_vectors

Vectors = Callable[[str], VectorStoreProtocol]
"""Gives the store of a namespace; the same for the same namespace, or one that sees the same vectors."""

Check = Callable[[Vectors], Awaitable[None]]

CLOSE = 1e-9  # how far scores may be from the cosine
CONCURRENT_TASKS = 20
MANY = 450  # vectors: more than a page that a store reads at once, and more than are compared one by one


async def check_vectors(vectors: Vectors) -> None:
    """Runs every check.

    Raises:
        AssertionError: the store violates a guarantee; the message says which.
    """
    for check in CHECKS:
        await check(vectors)


async def what_is_put_in_comes_back(vectors: Vectors) -> None:
    """A vector comes back exactly, with its metadata, until it is replaced or deleted."""
    store = _fresh(vectors)
    numbers = [0.1 + 0.2, -0.0, 5e-324, 1e99, 1.0]
    _same(await store.get_vector("a"), None, "what was never put in is not there")
    _same(await store.upsert("a", numbers, {"n": 1}), "a", "upsert returns the id")
    _same(await store.get_vector("a"), StoredVector(id="a", vector=numbers, metadata={"n": 1}), "a vector comes back")
    await store.upsert("a", [1, 2, 3, 4, 5])
    _same(await store.get_vector("a"), StoredVector(id="a", vector=[1, 2, 3, 4, 5]), "a vector is replaced whole")
    _same(await store.delete("a"), True, "delete says that it was there")
    _same(await store.delete("a"), False, "delete says that it was not there")
    _same(await store.get_vector("a"), None, "what was deleted is gone")
    _same(await store.query(numbers), [], "what was deleted is not found")


async def the_nearest_come_first(vectors: Vectors) -> None:
    """Scores are cosines, in descending order; length does not matter; equal scores are in the order of ids."""
    store = _fresh(vectors)
    await store.upsert_many(
        [
            StoredVector(id="same", vector=[2, 0]),
            StoredVector(id="opposite", vector=[-1e50, 0]),
            StoredVector(id="right angle", vector=[0, 1e-50]),
            StoredVector(id="half b", vector=[3, 3]),
            StoredVector(id="half a", vector=[1, 1]),
        ]
    )
    found = await store.query([1, 0], k=10)
    _same(_ids(found), ["same", "half a", "half b", "right angle", "opposite"], "the nearest come first")
    _close([match.score for match in found], [1, math.sqrt(0.5), math.sqrt(0.5), 0, -1])
    _same(_ids(await store.query([1, 0], k=2)), ["same", "half a"], "k cuts, and equal scores are cut by id")
    _same(_ids(await store.query([1, 0], k=10**30)), _ids(found), "a huge k returns all vectors")


async def scores_are_exact(vectors: Vectors) -> None:
    """Among many vectors the scores are those of the vectors as they were given, and none of the best is missed."""
    store, points = _fresh(vectors), unit_vectors(MANY, 16, seed=3)
    await store.upsert_many([_stored(place, point, {"n": place}) for place, point in enumerate(points)])
    for query in unit_vectors(5, 16, seed=4):
        found = await store.query(query, k=10)
        _same(_ids(found), _nearest(query, points)[:10], "the ten nearest of many")
        _close([match.score for match in found], [_cosine(query, points[int(match.id)]) for match in found])
        _same([match.metadata["n"] for match in found], [int(match.id) for match in found], "matches have metadata")
        _same(_ids(await store.query(query, k=MANY)), _nearest(query, points), "all, in order")


async def filters_leave_k_where_k_fit(vectors: Vectors) -> None:
    """A query with a filter returns the nearest of all matching vectors, few or many."""
    store, points = _fresh(vectors), unit_vectors(MANY, 16, seed=5)
    meta = [{"parity": place % 2, "hundred": place // 100, "all": True} for place in range(MANY)]
    await store.upsert_many([_stored(place, point, meta[place]) for place, point in enumerate(points)])
    [query] = unit_vectors(1, 16, seed=6)
    order = _nearest(query, points)
    filters: list[dict[str, Any]] = [
        {"all": True},
        {"parity": 1},
        {"hundred": 4},
        {"all": True, "parity": 0, "hundred": 2},
        {"all": True, "parity": 1.0},
    ]
    for wanted in filters:
        fitting = [name for name in order if all(meta[int(name)][key] == value for key, value in wanted.items())]
        _same(_ids(await store.query(query, k=10, filter=wanted)), fitting[:10], f"the ten nearest with {wanted}")
        _same(_ids(await store.query(query, k=MANY, filter=wanted)), fitting, f"all with {wanted}")
    for wanted in ({"all": 1}, {"parity": True}, {"parity": 2}, {"hundred": 4, "parity": None}, {"none": None}):
        _same(await store.query(query, filter=wanted), [], f"nothing has {wanted}")
    _same(_ids(await store.query(query, filter={})), order[:5], "an empty filter takes nothing away")


async def metadata_is_exact(vectors: Vectors) -> None:
    """Any JSON comes back as it was, and is found by a filter with the same value and by no other."""
    store = _fresh(vectors)
    for place, case in enumerate(EDGE_CASES_OF_METADATA):
        await store.upsert(str(place), [1, place], case)
    for place, case in enumerate(EDGE_CASES_OF_METADATA):
        stored = await store.get_vector(str(place))
        _same(stored and repr(stored.metadata), repr(case), "metadata comes back exactly")
        _same(
            _ids(await store.query([1, place], k=99, filter=case)), [str(place)], f"a filter finds {ascii(case)[:80]}"
        )


async def changed_metadata_is_what_counts(vectors: Vectors) -> None:
    """A filter finds what a vector's metadata is, not what it was."""
    store = _fresh(vectors)
    await store.upsert("a", [1, 0], {"state": "old", "kept": 1})
    await store.upsert("a", [1, 0], {"state": "new", "kept": 1})
    _same(await store.query([1, 0], filter={"state": "old"}), [], "what was is not found")
    _same(_ids(await store.query([1, 0], filter={"state": "new", "kept": 1})), ["a"], "what is is found")


async def any_text_is_an_id_and_a_namespace(vectors: Vectors) -> None:
    """Ids and namespaces are texts of any kind, and none of them reaches into another."""
    for text in HOSTILE_TEXTS:
        store, other = _fresh(vectors, text), _fresh(vectors, text)
        await store.upsert_many([StoredVector(id=name, vector=[1, 1], metadata={name: name}) for name in HOSTILE_TEXTS])
        await other.upsert(text, [1, 1, 1])
        found = await store.query([1, 1], k=99)
        _same(_ids(found), sorted(HOSTILE_TEXTS), "all ids are there, in order")
        _same(await store.get_vector(text), StoredVector(id=text, vector=[1, 1], metadata={text: text}), "by its id")
        _same(await store.delete(text), True, "it can be deleted")
        _same(len(await store.query([1, 1], k=99)), len(HOSTILE_TEXTS) - 1, "and nothing else was")
        _same(_ids(await other.query([1, 1, 1])), [text], "another namespace is untouched")


async def the_first_vector_fixes_the_dimension(vectors: Vectors) -> None:
    """A vector of another dimension is refused with both dimensions, also when all vectors are deleted."""
    store = _fresh(vectors)
    _same(await store.query([1, 2, 3, 4]), [], "a namespace without vectors takes any query")
    await store.upsert("a", [1, 2, 3])
    for _ in range(2):
        for refused in (
            store.upsert("b", [1, 2]),
            store.query([1, 2]),
            store.upsert_many([StoredVector(id="c", vector=[1, 2])]),
        ):
            message = await _refused(refused)
            _same("dimension 2" in message and "dimension 3" in message, True, f"both dimensions are in {message!r}")
        await store.delete("a")
    await _refused(store.upsert_many([StoredVector(id="c", vector=[1] * size) for size in (3, 2)]))
    _same(await store.get_vector("c"), None, "what is refused leaves no trace")


async def what_is_no_vector_is_refused(vectors: Vectors) -> None:
    """Bad vectors, ids, metadata and numbers of results are refused in words, and leave no trace."""
    store, nan, infinity = _fresh(vectors), float("nan"), float("inf")
    await store.upsert("kept", [1, 2])
    wrong: list[Any] = [
        *([], [0, 0], [nan, 1], [1, infinity], [True, 1], ["1", "2"], [None, 1], [[1], [2]], [10**400, 1]),
        *("12", b"12", None, 5, {"a": 1}, [1e200, 1], [1e-200, 1e-200], [1j, 1], [1.0] * 16_385),
    ]
    for vector in wrong:
        await _refused(store.upsert("kept", vector))
        await _refused(store.query(vector))
    for name in ("", None, 5, b"a", "x" * 5_000):
        await _refused(store.upsert(name, [1, 2]))  # type: ignore[arg-type]
        await _refused(store.get_vector(name))  # type: ignore[arg-type]
        await _refused(store.delete(name))  # type: ignore[arg-type]
    bad: list[Any] = [[], "a", {1: 2}, {"a": {None: 1}}, {"a": nan}, {"a": {1}}, {"a": b"b"}, {"a": "x" * 200_000}]
    for metadata in (*bad, {"a": _nested(500)}):
        await _refused(store.upsert("kept", [1, 2], metadata))
    for k in (0, -1, 1.5, True, "5", None, nan):
        await _refused(store.query([1, 2], k))  # type: ignore[arg-type]
    for wanted in bad[:-1]:
        await _refused(store.query([1, 2], filter=wanted))
    _same(await store.get_vector("kept"), StoredVector(id="kept", vector=[1, 2]), "what is refused leaves no trace")


async def other_sequences_of_numbers_are_taken(vectors: Vectors) -> None:
    """Tuples, arrays and integers are vectors too."""
    store = _fresh(vectors)
    for name, vector in {"tuple": (1, 2), "array": array("f", [1, 2]), "integers": [1, 2]}.items():
        await store.upsert(name, vector)
        _same(await store.get_vector(name), StoredVector(id=name, vector=[1.0, 2.0]), f"{name} as floats")


async def many_at_once_are_as_good_as_one_by_one(vectors: Vectors) -> None:
    """Of several vectors with one id the last counts; none at all is fine."""
    store = _fresh(vectors)
    await store.upsert_many([])
    await store.upsert_many(StoredVector(id=str(place % 7), vector=[1, place]) for place in range(50))
    _same(await store.get_vector("0"), StoredVector(id="0", vector=[1, 49]), "the last of one id counts")
    _same(len(await store.query([1, 1], k=99)), 7, "one vector for each id")


async def concurrent_writes_leave_whole_vectors(vectors: Vectors) -> None:
    """Concurrent writes and deletes of the same ids leave one of the written vectors, whole."""
    store = _fresh(vectors)
    await store.upsert("first", [1, 1, 1])

    async def work(task: int) -> None:
        for step in range(6):
            name = str((task + step) % 4)
            if (task + step) % 3 == 0:
                await store.delete(name)
            else:
                await store.upsert(name, [1, task, step], {"task": task, "step": step})
            await store.query([1, 1, 1], k=3)

    await asyncio.gather(*(work(task) for task in range(CONCURRENT_TASKS)))
    left = {match.id: match for match in await store.query([1, 1, 1], k=99) if match.id != "first"}
    for name in map(str, range(4)):
        stored = await store.get_vector(name)
        _same(stored is not None, name in left, f"vector {name} is found just when it is there")
        if stored:
            numbers = [1, stored.metadata["task"], stored.metadata["step"]]
            _same(stored.vector, numbers, "a vector and its metadata are of one write")
    for name in map(str, range(4)):
        await store.upsert(name, [1, 2, 3])
    _same(_ids(await store.query([1, 2, 3], k=4)), ["0", "1", "2", "3"], "all can be written and found afterwards")


async def of_two_first_vectors_one_decides(vectors: Vectors) -> None:
    """First vectors of two dimensions at once: one dimension wins, and all of the other are refused."""
    store = _fresh(vectors)
    sizes = [2 + task % 2 for task in range(CONCURRENT_TASKS)]
    results = await asyncio.gather(
        *(store.upsert(str(task), [1.0] * size) for task, size in enumerate(sizes)), return_exceptions=True
    )
    won = {size for size, result in zip(sizes, results, strict=True) if not isinstance(result, BaseException)}
    _same(len(won), 1, f"one dimension wins: {results}")
    losers = [result for result in results if isinstance(result, BaseException)]
    _same(all(isinstance(loser, UsageError) for loser in losers), True, f"the others are told why: {losers}")
    _same(len(await store.query([1.0] * won.pop(), k=99)), CONCURRENT_TASKS // 2, "and all of the one are there")


CHECKS: tuple[Check, ...] = (
    what_is_put_in_comes_back,
    the_nearest_come_first,
    scores_are_exact,
    filters_leave_k_where_k_fit,
    metadata_is_exact,
    changed_metadata_is_what_counts,
    any_text_is_an_id_and_a_namespace,
    the_first_vector_fixes_the_dimension,
    what_is_no_vector_is_refused,
    other_sequences_of_numbers_are_taken,
    many_at_once_are_as_good_as_one_by_one,
    concurrent_writes_leave_whole_vectors,
    of_two_first_vectors_one_decides,
)


def _fresh(vectors: Vectors, name: str = "conformance") -> VectorStoreProtocol:
    return vectors(f"{name[:1000]} {uuid.uuid4()}")


def _stored(place: int, vector: list[float], metadata: Mapping[str, Any]) -> StoredVector:
    return StoredVector(id=str(place), vector=vector, metadata=dict(metadata))


def _ids(matches: Sequence[VectorMatch]) -> list[str]:
    return [match.id for match in matches]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    return product / math.hypot(*one) / math.hypot(*other)


def _nearest(query: Sequence[float], points: Sequence[Sequence[float]]) -> list[str]:
    return [str(place) for place in sorted(range(len(points)), key=lambda place: -_cosine(query, points[place]))]


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _same(actual: object, expected: object, guarantee: str) -> None:
    if actual != expected:
        raise AssertionError(f"guarantee violated: {guarantee}\n  expected {expected!r:.400}\n  found {actual!r:.400}")


def _close(actual: Sequence[float], expected: Sequence[float]) -> None:
    pairs = zip(actual, expected, strict=True)
    _same([pair for pair in pairs if abs(pair[0] - pair[1]) > CLOSE], [], "scores are the cosines")


async def _refused(work: Awaitable[object]) -> str:
    try:
        await work
    except UsageError as error:
        return str(error)
    raise AssertionError("guarantee violated: wrong use is refused with a UsageError")
