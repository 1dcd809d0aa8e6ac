"""Vectors as rows of the database."""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, Any

from surrealdb import RecordID

from holdfast.storage.vectors.metadata import exact_text
from holdfast.storage.vectors.numbers import np
from holdfast.storage.vectors.record import Record

if TYPE_CHECKING:
    import numpy.typing as npt

Row = dict[str, Any]

NARROW, WIDE = 4, 8  # bytes of a float
FLOATS: dict[int, str] = {NARROW: "<f4", WIDE: "<f8"}


def key(text: str) -> str:
    """A text as part of a record's id: the database loses rows with NUL or half a surrogate pair in theirs.

    It is the text as JSON has it between the quotes, so the same for nearly all.
    """
    return exact_text(text)[1:-1]


def text_of(key: str) -> str:
    """The text that `key` was made of."""
    return str(json.loads(f'"{key}"'))


def row_id(namespace: str, id: str) -> RecordID:  # noqa: A002 - the field's word
    """Id of a vector's row."""
    return RecordID("vector", [key(namespace), key(id)])


def row(namespace: str, record: Record) -> Row:
    """The row of a vector."""
    return {
        "id": row_id(namespace, record.id),
        "exact": exact_bytes(record.numbers),
        "norm": record.norm,
        "metadata": record.metadata,
        "facets": sorted(record.facets),
    }


def entry(namespace: str, nearest: str, record: Record) -> Row:
    """The entry of a vector in the index: of length 1, as the index keeps 32 bits a number, and may lose others."""
    return {"id": RecordID(nearest, [key(record.id)]), "row": row_id(namespace, record.id), "unit": record.unit}


def record_from(row: Row) -> Record:
    """The vector that a row is of."""
    return Record(
        id=text_of(row["id"].id[1]),
        numbers=numbers_from(row["exact"]),
        norm=row["norm"],
        metadata=row["metadata"],
        facets=frozenset(row["facets"]),
    )


def exact_bytes(numbers: array[float]) -> bytes:
    """Numbers as little-endian floats, after a byte that holds their width: 4 bytes each if that is exact, otherwise 8.

    Many models compute in 32-bit floats. The width matters: the database reads values of bytes slowly.
    """
    wide = np.frombuffer(numbers, np.float64)
    with np.errstate(over="ignore"):
        narrow = wide.astype(FLOATS[NARROW])
    is_exact = np.array_equal(narrow, wide)
    return bytes([NARROW]) + narrow.tobytes() if is_exact else bytes([WIDE]) + wide.astype(FLOATS[WIDE]).tobytes()


def floats_from(exact: bytes) -> npt.NDArray[np.float64]:
    """The numbers that `exact_bytes` was given."""
    return np.frombuffer(exact, FLOATS[exact[0]], offset=1).astype(np.float64)


def numbers_from(exact: bytes) -> array[float]:
    """The numbers that `exact_bytes` was given, as an array of Python's."""
    return array("d", floats_from(exact).tobytes())
