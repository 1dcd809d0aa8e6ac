"""Vectors compared in memory: exact results, whatever was added, replaced or removed before."""

from __future__ import annotations

import json
import math
import random
import threading
from array import array

import pytest

from holdfast.storage.vectors.checks import norm_of
from holdfast.storage.vectors.matrix import Item, Matrix
from holdfast.storage.vectors.metadata import facets, facets_of_text
from holdfast.storage.vectors.sample import unit_vectors

NAMESPACE = "test"
DIMENSION = 24


def item(name: str, vector: list[float], **metadata: int) -> Item:
    """A vector whose facets the matrix computes by itself."""
    return Item(name, array("d", vector), norm_of(vector), json.dumps(metadata))


def empty(dimension: int = DIMENSION) -> Matrix:
    """A matrix without vectors."""
    return Matrix(dimension, lambda text: facets_of_text(NAMESPACE, text))


def expected(items: dict[str, Item], query: list[float], k: int, **wanted: int) -> list[tuple[str, float]]:
    """The nearest by the definition."""
    found = [
        (
            -round(math.fsum(a * b for a, b in zip(query, each.numbers, strict=True)) / norm_of(query) / each.norm, 12),
            id,
        )
        for id, each in items.items()  # noqa: A001 - the field's word
        if wanted.items() <= json.loads(each.metadata).items()
    ]
    return [(name, -score) for score, name in sorted(found)[:k]]


@pytest.mark.parametrize("seed", range(5))
def test_results_are_exact_after_any_changes(seed: int) -> None:
    """Searches return the true nearest in order, with and without filters, after additions, replacements, removals."""
    chance = random.Random(seed)
    matrix, items = empty(), dict[str, Item]()
    pool = unit_vectors(60, DIMENSION, seed=seed)  # few, so that many ids share a vector and scores are equal
    for step in range(300):
        name = str(chance.randrange(150))
        if chance.random() < 0.3:
            assert matrix.remove(name) == (name in items)
            items.pop(name, None)
        else:
            vector = [number * chance.choice([1.0, 1e-50, 1e50]) for number in chance.choice(pool)]
            items[name] = item(name, vector, parity=chance.randrange(2), tenth=chance.randrange(10))
            matrix.put([items[name]])
        if step % 20 == 0 and items:
            query, k = unit_vectors(1, DIMENSION, seed=1000 + step)[0], chance.choice([1, 5, 40, 1000])
            for wanted in ({}, {"parity": 1}, {"tenth": 3}, {"parity": 0, "tenth": 7}):
                found = matrix.nearest(query, k, facets(NAMESPACE, wanted))
                truth = expected(items, query, k, **wanted)
                assert [match.id for match in found] == [name for name, _ in truth]
                assert [match.score for match in found] == pytest.approx([score for _, score in truth], abs=1e-11)
    assert len(matrix) == len(items)


def test_neighbours_closer_than_32_bits_tell_are_in_order() -> None:
    """Vectors that 32-bit floats cannot tell apart are ranked by their 64-bit numbers."""
    matrix = empty(2)
    angles = {f"{place:03}": 1e-5 + place * 1e-9 for place in range(200)}
    matrix.put([item(name, [math.cos(angle), math.sin(angle)]) for name, angle in reversed(angles.items())])
    found = matrix.nearest([0.0, 1.0], 10, ())
    assert [match.id for match in found] == sorted(angles, reverse=True)[:10]


def test_an_empty_matrix_finds_nothing() -> None:
    """A search of no vectors, or of none that a filter leaves, returns no results."""
    matrix = empty(2)
    assert matrix.nearest([1, 0], 5, ()) == []
    matrix.put([item("a", [1, 0], n=1)])
    assert matrix.nearest([1, 0], 5, facets(NAMESPACE, {"n": 2})) == []
    assert matrix.remove("a")
    assert matrix.nearest([1, 0], 5, ()) == []


def test_threads_share_a_matrix() -> None:
    """Searches find whole vectors while other threads add, replace and remove."""
    matrix = empty(4)
    matrix.put([item("fixed", [1, 0, 0, 0])])
    wrong: list[object] = []

    def change(number: int) -> None:
        for step in range(200):
            matrix.put([item(f"{number}-{step % 7}", [0, 1 + number, step + 1, 1])])
            matrix.remove(f"{number}-{(step + 3) % 7}")

    def search() -> None:
        for _ in range(200):
            [best] = matrix.nearest([1, 0, 0, 0], 1, ())
            if (best.id, best.score) != ("fixed", 1.0):
                wrong.append(best)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
