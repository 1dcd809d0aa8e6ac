"""Cuts a document into passages that can be remembered, and found, one by one."""

from __future__ import annotations

import re

MAX_PASSAGE_CHARS = 2_000  # half a page: small enough to be about one thing, large enough to be understood by itself

_PARAGRAPH_END = re.compile(r"\n\s*\n")
_BREAKS = ("\n", ". ", "! ", "? ", " ")


def passages(text: str, limit: int = MAX_PASSAGE_CHARS) -> list[str]:
    """Paragraphs put together for as long as they fit; one that is too long is cut at a line, a sentence or a word.

    Args:
        text: of any length.
        limit: most characters of a passage.

    Returns:
        The passages in order, without blank ones; together they have every word of the text.
    """
    found: list[str] = []
    for paragraph in filter(str.strip, _PARAGRAPH_END.split(text)):
        for piece in _pieces(paragraph.strip(), limit):
            joined = f"{found[-1]}\n\n{piece}" if found else piece
            if found and len(joined) <= limit:
                found[-1] = joined
            else:
                found.append(piece)
    return found


def _pieces(paragraph: str, limit: int) -> list[str]:
    pieces: list[str] = []
    while len(paragraph) > limit:
        cut = _cut(paragraph, limit)
        pieces.append(paragraph[:cut].rstrip())
        paragraph = paragraph[cut:].lstrip()
    return [*pieces, paragraph] if paragraph else pieces


def _cut(paragraph: str, limit: int) -> int:
    """Where to cut: behind the last break of the best kind that leaves at least half of what fits."""
    for mark in _BREAKS:
        place = paragraph.rfind(mark, limit // 2, limit)
        if place >= 0:
            return place + len(mark)
    return limit
