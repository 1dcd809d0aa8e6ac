"""Encryption of a mirror's rows.

The exact texts are encrypted. Content columns are emptied. Columns that serve queries (names, numbers, times) and
digests stay in plain text, so a correct guess of a whole entry can be verified against its digest. A model may call
tools that do not exist, by names that are content: only the names of tools that ran stay. So are the names of
checkpoints that people and tools make.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from holdfast.ports import Cipher
from holdfast.storage.mirror.rows import Row, Rows
from holdfast.storage.sealed import key_name_of, without_keys

EXACT = ("text",)
CONTENT = ("content", "arguments", "error", "input", "what", "stage")


def encrypt_rows(rows: Rows, cipher: Cipher | None) -> Rows:
    """Encrypts rows in place and returns them; without a cipher they stay as they are."""
    if cipher is not None:
        rest = (rows.tool_calls.values(), rows.checkpoints, rows.waits.values())
        for row in chain([rows.run], rows.events, rows.messages, *rest):
            encrypt_row(row, cipher)
    return rows


def encrypt_row(row: Row, cipher: Cipher | None) -> Row:
    """Encrypts one row in place and returns it; without a cipher it stays as it is."""
    if cipher is not None:
        row |= {name: cipher.seal(row[name]) for name in _filled(row, EXACT)}
        row |= dict.fromkeys(_filled(row, CONTENT), "")
        if "tools" in row:
            row["tools"] = []
        if "tool" in row and not row.get("seconds"):  # it did not run, or has not yet
            row["tool"] = ""
        if isinstance(made := row.get("data"), dict) and "text" in made:  # a checkpoint that a person or a tool made
            row["data"] = made | {"name": "", "text": cipher.seal(made["text"])}
    return row


def decrypt_text(text: str, cipher: Cipher | None) -> str:
    """Decrypts an exact text; without a cipher it is returned as it is.

    Raises:
        PayloadUnreadable: it is encrypted, and its key is missing.
    """
    if cipher is not None:
        return cipher.unseal(text)
    if (key := key_name_of(text)) is not None:
        raise without_keys(key)
    return text


def _filled(row: Row, names: Iterable[str]) -> list[str]:
    return [name for name in names if row.get(name) is not None]
