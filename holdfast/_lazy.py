"""Names and modules that are loaded when they are first used."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

import lazy_loader  # type: ignore[import-untyped]

attach_stub = functools.cache(lazy_loader.attach_stub)
"""Does what `lazy_loader.attach_stub` does, once per process.

Temporal's sandbox imports the package anew for each workflow, in several threads, and Python 3.11 cannot parse stubs in
several threads at once.
"""


class LazyModule:
    """A module that is loaded when one of its attributes is first used, by whichever thread.

    Modules of `importlib.util.LazyLoader`, and so those of `lazy_loader.load`, lack attributes in Python 3.11 if two
    threads use them first at the same time.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


def load(name: str) -> Any:
    """Returns a module that is loaded when one of its attributes is first used."""
    return LazyModule(name)
