"""Dialects of SurrealQL: 2.x for the embedded engine, 3.x for a server.

Statements are written once, with `{{placeholders}}` for the few keywords that differ.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.storage.database.errors import StatementFailed

Execute = Callable[..., Awaitable[list[Any]]]
"""Runs a statement with named values and returns the result of each part."""

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
PROBE = "RETURN type::record('a', 'b')"  # one argument in 2.x; the reported version is the client's


@dataclass(frozen=True)
class Dialect:
    """A dialect of SurrealQL.

    Attributes:
        name: the major version that uses it.
        words: the text of each placeholder.
    """

    name: str
    words: Mapping[str, str]

    def render(self, statement: str) -> str:
        """Returns the statement in this dialect; unknown placeholders stay, since `{{a}}` is also a block."""
        if "{{" not in statement:
            return statement
        return PLACEHOLDER.sub(lambda found: self.words.get(found[1], found[0]), statement)


TWO = Dialect("2", {"fulltext": "SEARCH", "record": "type::thing"})
"""`{{fulltext}} ANALYZER` defines a full-text index; `{{record}}(table, id)` returns a record id."""
THREE = Dialect("3", {"fulltext": "FULLTEXT", "record": "type::record"})


async def dialect_of(execute: Execute) -> Dialect:
    """Detects the dialect of a database."""
    try:
        await execute(PROBE)
    except StatementFailed:
        return TWO
    return THREE
