"""Validation of vectors, ids and numbers of results."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from numbers import Real

from holdfast.errors import UsageError

MAX_ID_LENGTH = 4_096  # characters; ids are keys of the database, which are read whole wherever one is looked for
MAX_DIMENSION = 16_384  # numbers; four times the largest that embedding models give
MIN_NORM, MAX_NORM = 1e-100, 1e100  # beyond, squares leave the range of a float, and similarities would be noise


def check_name(what: str, name: object) -> str:
    """An id or a namespace that can be stored.

    Raises:
        UsageError: it is not text, empty, or too long.
    """
    if not isinstance(name, str):
        raise UsageError(f"{what} must be text, not {type(name).__name__}: {name!r}")
    if not 0 < len(name) <= MAX_ID_LENGTH:
        raise UsageError(f"{what} has {len(name)} characters; accepted are 1 to {MAX_ID_LENGTH}")
    return name


def check_k(k: object) -> int:
    """A number of results.

    Raises:
        UsageError: it is not a whole number of at least 1.
    """
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise UsageError(f"k is {k!r}; it must be a whole number of at least 1")
    return k


def check_dimension(got: int, expected: int, namespace: str) -> None:
    """Sees to it that a vector fits its namespace.

    Raises:
        UsageError: it does not; the message has both dimensions.
    """
    if got != expected:
        raise UsageError(
            f"the vector has dimension {got}, namespace {namespace!r} has dimension {expected}, "
            "as its first vector had: use the same embedding model, or another namespace"
        )


def check_vector(vector: Iterable[float]) -> array[float]:
    """A vector as 64-bit floats.

    Raises:
        UsageError: it is not a sequence of numbers, or it is empty, too long, zero, not finite, or of an extreme norm.
    """
    if isinstance(vector, str | bytes | bytearray) or not isinstance(vector, Iterable):
        raise UsageError(f"a vector must be a sequence of numbers, not {type(vector).__name__}")
    values = list(vector)
    if not 0 < len(values) <= MAX_DIMENSION:
        raise UsageError(f"the vector has dimension {len(values)}; accepted are 1 to {MAX_DIMENSION}")
    numbers = _numbers(values)
    norm_of(numbers)
    return numbers


def norm_of(numbers: Sequence[float]) -> float:
    """The length of a vector.

    Raises:
        UsageError: the vector has no direction, or its length cannot be reckoned with.
    """
    norm = math.hypot(*numbers)
    if MIN_NORM <= norm <= MAX_NORM:
        return norm
    if norm == 0:
        raise UsageError(f"the vector, of dimension {len(numbers)}, is zero: it has no direction to compare")
    raise UsageError(f"the vector has length {norm:g}; accepted are {MIN_NORM:g} to {MAX_NORM:g}")


def _numbers(values: list[float]) -> array[float]:
    if not set(map(type, values)) <= {float, int}:
        for place, value in enumerate(values):
            if not _is_number(value):
                raise UsageError(f"the vector has {value!r} at place {place}, which is not a number")
    try:
        numbers = array("d", values)
    except OverflowError:
        raise UsageError("the vector has an integer that is too large for a float") from None
    if not all(map(math.isfinite, numbers)):
        place = next(place for place, value in enumerate(numbers) if not math.isfinite(value))
        raise UsageError(f"the vector has {numbers[place]} at place {place}; it must be finite")
    return numbers


def _is_number(value: object) -> bool:
    """Also for those of numerical libraries, whose small floats are not Python floats."""
    return type(value) is float or (isinstance(value, Real) and not isinstance(value, bool))
