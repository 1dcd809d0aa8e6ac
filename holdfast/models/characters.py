"""Characters of streamed JSON, whose escapes may be split between two pieces."""

from __future__ import annotations


def whole_characters(text: str) -> str:
    """Joins surrogate pairs that JSON escapes leave in a text, and replaces unpaired surrogates."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
