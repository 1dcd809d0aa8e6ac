"""Text that is safe to print: what models, tools and other people wrote must not control the terminal."""

from __future__ import annotations

import re

_SEQUENCE = r"\x1b\[[0-?]*[ -/]*[@-~]"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # all but tab and line feed; C1 controls begin sequences, too
_BIDI = r"[\u061c\u202a-\u202e\u2066-\u2069]"  # reorder what follows, so that a text reads as another one
_UNSAFE = re.compile(f"{_SEQUENCE}|{_CONTROL}|{_BIDI}")
_LEFT_BY_JSON = re.compile(rf"[\x7f-\x9f]|{_BIDI}")


def clean(text: str) -> str:
    """Returns a text without control characters, except line breaks and tabs, and without bidi overrides."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n"))


def escaped_json(document: str) -> str:
    """Escapes in a JSON document the characters that a writer of JSON leaves alone; its values are the same."""
    return _LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
