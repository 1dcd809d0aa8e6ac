"""Splitting of documents into passages that are stored and found one by one."""

from __future__ import annotations

import re

MAX_PASSAGE_CHARS = 2_000  # half a page: short enough to cover one topic, long enough to be understood by itself

_PARAGRAPH_END = re.compile(r"\n\s*\n")
_BREAKS = ("\n", ". ", "! ", "? ", " ")


def passages(text: str, limit: int = MAX_PASSAGE_CHARS) -> list[str]:
    """Joins paragraphs up to the limit; splits a longer paragraph at a line, a sentence or a word.

    Args:
        text: of any length.
        limit: maximum characters of a passage.

    Returns:
        The passages in order, none of them blank; together they contain every word of the text.
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
    """Returns where to cut: after the last break of the best kind in the second half of what fits."""
    for mark in _BREAKS:
        place = paragraph.rfind(mark, limit // 2, limit)
        if place >= 0:
            return place + len(mark)
    return limit
