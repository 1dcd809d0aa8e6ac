"""Names and modules that are loaded when they are first used."""

from __future__ import annotations

import functools

import lazy_loader  # type: ignore[import-untyped]

load = lazy_loader.load
"""Returns a module that is loaded when one of its attributes is first used."""

attach_stub = functools.cache(lazy_loader.attach_stub)
"""Does what `lazy_loader.attach_stub` does, once per process.

Temporal's sandbox imports the package anew for each workflow, in several threads, and Python 3.11 cannot parse stubs in
several threads at once.
"""
