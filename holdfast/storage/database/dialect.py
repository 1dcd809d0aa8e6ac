"""Where the SurrealQL of the engine in this process (2.x) and that of a server (3.x) differ.

Statements are written once, with `{{placeholders}}` for the few words that are not the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.storage.database.errors import StatementFailed

Execute = Callable[..., Awaitable[list[Any]]]
"""Runs a statement, whose values come by name, and gives the results of its parts."""

PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
PROBE = "RETURN type::record('a', 'b')"  # of one argument in 2.x; version numbers do not tell: the client gives its own


@dataclass(frozen=True)
class Dialect:
    """One of SurrealQL's dialects.

    Attributes:
        name: the major version that speaks it.
        words: what its placeholders stand for.
    """

    name: str
    words: Mapping[str, str]

    def spell(self, statement: str) -> str:
        """The statement in this dialect; what looks like a placeholder and is none stays: `{{a}}` is a block too."""
        if "{{" not in statement:
            return statement
        return PLACEHOLDER.sub(lambda found: self.words.get(found[1], found[0]), statement)


TWO = Dialect("2", {"fulltext": "SEARCH", "record": "type::thing"})
"""`{{fulltext}} ANALYZER`, the index for words; `{{record}}(table, id)`, the function that makes a record id."""
THREE = Dialect("3", {"fulltext": "FULLTEXT", "record": "type::record"})


async def dialect_of(execute: Execute) -> Dialect:
    """Asks a database for its dialect."""
    try:
        await execute(PROBE)
    except StatementFailed:
        return TWO
    return THREE
