"""A full-text index in memory, based on SQLite's FTS5."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from holdfast.storage.memory.table import Place
from holdfast.storage.memory.words import stems

SCHEMA = """
CREATE TABLE memory (number INTEGER PRIMARY KEY, namespace TEXT, id TEXT, UNIQUE (namespace, id));
CREATE TABLE facet (facet TEXT, number INTEGER, PRIMARY KEY (facet, number)) WITHOUT ROWID;
CREATE INDEX facet_number ON facet (number);
CREATE VIRTUAL TABLE words USING fts5 (stems, tokenize = 'ascii');
"""
"""Texts are indexed as stems between spaces, so the plain `ascii` tokenizer suffices."""
FIND = "SELECT number FROM memory WHERE namespace = ? AND id = ?"
MATCHES = """
SELECT memory.namespace, memory.id FROM words JOIN memory ON memory.number = words.rowid
WHERE words MATCH ? AND memory.namespace IN ({namespaces}) {fitting}
ORDER BY words.rank, memory.namespace, memory.id LIMIT ?
"""
FITTING = "AND (SELECT count(*) FROM facet WHERE number = memory.number AND facet IN ({facets})) = ?"


@dataclass(frozen=True, slots=True)
class Entry:
    """A text to index."""

    place: Place
    text: str
    facets: Collection[str]


class WordIndex:
    """Finds texts by the stems of their words, ranked by BM25; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sqlite = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._sqlite.executescript(SCHEMA)

    def put(self, entries: Sequence[Entry]) -> None:
        """Adds texts; replaces those with the same place."""
        stemmed = [" ".join(stems(entry.text)) for entry in entries]
        with self._lock, self._sqlite:
            self._sqlite.execute("BEGIN")
            for entry, words in zip(entries, stemmed, strict=True):
                self._remove(entry.place)
                row = self._sqlite.execute("INSERT INTO memory (namespace, id) VALUES (?, ?)", entry.place)
                number = row.lastrowid
                self._sqlite.execute("INSERT INTO words (rowid, stems) VALUES (?, ?)", (number, words))
                facets = [(facet, number) for facet in entry.facets]
                self._sqlite.executemany("INSERT INTO facet VALUES (?, ?)", facets)

    def remove(self, place: Place) -> None:
        """Removes a text if it is indexed."""
        with self._lock, self._sqlite:
            self._sqlite.execute("BEGIN")
            self._remove(place)

    def matches(
        self, namespaces: Sequence[str], words: Sequence[str], facets: Collection[str], limit: int
    ) -> list[Place]:
        """Returns places as `MemoryTable.matches` does."""
        wanted = dict.fromkeys(stem for word in words for stem in stems(word))
        if not wanted or not namespaces:
            return []
        text = MATCHES.format(
            namespaces=_marks(namespaces), fitting=FITTING.format(facets=_marks(facets)) if facets else ""
        )
        values: list[Any] = [" OR ".join(f'"{stem}"' for stem in wanted), *namespaces]
        if facets:
            values += [*facets, len(facets)]
        with self._lock, closing(self._sqlite.execute(text, [*values, limit])) as found:
            return [(namespace, key) for namespace, key in found]

    def _remove(self, place: Place) -> None:
        found = self._sqlite.execute(FIND, place).fetchone()
        if found:
            self._sqlite.execute("DELETE FROM words WHERE rowid = ?", found)
            self._sqlite.execute("DELETE FROM facet WHERE number = ?", found)
            self._sqlite.execute("DELETE FROM memory WHERE number = ?", found)


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
