"""The memory that an object occupies."""

from __future__ import annotations

import gc
import sys
from types import FunctionType, ModuleType

SHARED = (type, ModuleType, FunctionType)  # not part of any one object


def weight(value: object, known: set[int] | None = None) -> int:
    """Returns the bytes of an object with everything that it refers to.

    Args:
        value: data, such as a pydantic model.
        known: ids of objects that are not counted; those that are counted are added.
    """
    known = set() if known is None else known
    total, found = 0, [value]
    while found:
        item = found.pop()
        if id(item) not in known and not isinstance(item, SHARED):
            known.add(id(item))
            total += sys.getsizeof(item)
            found += gc.get_referents(item)
    return total
