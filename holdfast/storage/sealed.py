"""Encrypted texts in the database, as far as they can be recognized without a key."""

from __future__ import annotations

from holdfast.errors import PayloadUnreadable

SETTING = "HOLDFAST_ENCRYPTION_KEY"
SEALED = "sealed:"  # prefix of `sealed:KEY:CIPHERTEXT`; JSON never begins like this


def key_name_of(text: str) -> str | None:
    """Returns the name of the key that a text is encrypted with; `None` if it is not encrypted."""
    return text.removeprefix(SEALED).partition(":")[0] if text.startswith(SEALED) else None


def without_keys(name: str) -> PayloadUnreadable:
    """Returns the error about something encrypted where no key is configured."""
    return PayloadUnreadable(f"this was encrypted with key {name!r}, and {SETTING} is not set: set it to that key")
