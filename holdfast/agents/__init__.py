"""Agents: how they are defined, and in `shipped` those that come with Holdfast, one file each.

`FrontendDeveloper` and `Persona` are the same as in `holdfast`.
"""

import sys
from typing import Any

SHIPPED_CLASSES = frozenset({"FrontendDeveloper", "Persona"})


def __getattr__(name: str) -> Any:
    if name in SHIPPED_CLASSES:
        return getattr(sys.modules["holdfast"], name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
