"""Takes what was said out of a mirror's rows, where the mirror is to be private.

The exact texts are encrypted; what is there only to be queried (names, numbers, times) stays, and content columns
are empty. Digests stay as they are: who guesses a whole entry to the letter can see that the guess is right.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from holdfast.ports import Cipher
from holdfast.storage.mirror.rows import Row, Rows

EXACT = ("text",)
CONTENT = ("content", "arguments", "error", "input")


def seal(rows: Rows, cipher: Cipher | None) -> Rows:
    """Changes rows so that they may be stored; without a cipher they may be as they are."""
    if cipher is not None:
        for row in chain([rows.run], rows.events, rows.messages, rows.tool_calls.values()):
            seal_row(row, cipher)
    return rows


def seal_row(row: Row, cipher: Cipher | None) -> Row:
    """Changes one row in the same way."""
    if cipher is not None:
        row |= {name: cipher.seal(row[name]) for name in _filled(row, EXACT)}
        row |= dict.fromkeys(_filled(row, CONTENT), "")
    return row


def unseal(text: str, cipher: Cipher | None) -> str:
    """An exact text, as it was before `seal`; without a cipher it is given back as it is."""
    return text if cipher is None else cipher.unseal(text)


def _filled(row: Row, names: Iterable[str]) -> list[str]:
    return [name for name in names if row.get(name) is not None]
