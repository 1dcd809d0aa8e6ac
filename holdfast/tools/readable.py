"""Web pages as text that a model can read: headings, lists, links and code as in Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple
from urllib.parse import urljoin

MAX_PIECES = 200_000  # tags and texts of a page, which take one or two seconds; long articles have some 20,000
MAX_TAG_CHARS = 20_000  # of a tag whose attributes are read


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DROPPED = _names("script style noscript template svg math iframe object canvas textarea select head")
_RAW = _names("script style textarea noscript iframe title")
"""Elements whose content has no tags."""
_BLOCKS = _names(
    "address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure footer form header "
    "hr html legend main nav ol p pre section summary table tbody tfoot thead tr ul"
)
_VOID = _names("area base br col embed hr img input link meta source track wbr")
_CELLS = _names("td th")
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}

_OPENING = re.compile(r"<(?=/?[a-zA-Z]|[!?])")
_TAG = re.compile(r"</?([a-zA-Z][^\s/>]*+)((?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+)>")
_PLAIN_TAG = re.compile(r"</?([a-zA-Z][^\s/>]*+)([^>]*+)>")  # where a quotation mark is missing
_ATTRIBUTE = re.compile(r"([^\s=/>\"']++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>\"']++)))?+")
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_MANY_LINES = re.compile(r"\n{3,}")


class _Piece(NamedTuple):
    """A tag, or the text between two tags."""

    name: str
    """Of the element, in lower case; empty for text."""
    text: str
    """The text, or the tag's attributes."""
    is_end: bool = False


def readable(page: str, address: str) -> str:
    """Returns the visible text of an HTML page.

    It takes time in proportion to the page, whatever the page contains; parsers that build a tree do not. Of a page
    with more than MAX_PIECES tags and texts, the rest is left out.

    Args:
        page: the page.
        address: its URL, which links are relative to.
    """
    writer = _Writer(address)
    for piece in islice(_pieces(page), MAX_PIECES):
        writer.add(piece)
    return writer.finished()


def _pieces(page: str) -> Iterator[_Piece]:
    place, tag = 0, _TAG
    while opening := _OPENING.search(page, place):
        start = opening.start()
        if start > place:
            yield _Piece("", page[place:start])
        closing = "-->" if page.startswith("<!--", start) else ">"
        end = page.find(closing, start + 1)
        if end < 0:
            return  # what is not closed has no text
        place = end + len(closing)
        if page[start + 1] in "!?":
            continue
        match = tag.match(page, start)
        if match is None:
            tag = _PLAIN_TAG  # for the rest of the page, as each further attempt would read on to its end
            match = tag.match(page, start)
        if match is None:
            continue
        piece = _Piece(match[1].lower(), match[2], is_end=page[start + 1] == "/")
        yield piece
        place = match.end()
        if piece.name in _RAW and not piece.is_end:
            content_end = re.compile(f"</{piece.name}", re.IGNORECASE).search(page, place)
            if content_end is None:
                return
            yield _Piece("", page[place : content_end.start()])
            place = content_end.start()
    yield _Piece("", page[place:])


class _Writer:
    """Collects the text of a page."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._parts: list[str] = []
        self._title: list[str] = []
        self._in_title = False
        self._dropped: str | None = None
        self._depth = 0  # of elements with the dropped one's name inside of it
        self._preformatted = False
        self._link: tuple[str, int] | None = None  # its address, and where its text begins

    def add(self, piece: _Piece) -> None:
        if piece.name == "title":
            self._in_title = not piece.is_end
        elif self._in_title and not piece.name:
            self._title.append(piece.text)
        elif self._dropped:
            self._skip(piece)
        elif not piece.name:
            self._text(piece.text)
        elif not piece.is_end and piece.name not in _VOID and _is_dropped(piece):
            self._dropped, self._depth = piece.name, 1
        else:
            self._tag(piece)

    def finished(self) -> str:
        self._end_link()
        lines = (line.rstrip() for line in "".join(self._parts).split("\n"))
        text = _MANY_LINES.sub("\n\n", "\n".join(lines)).strip()
        title = _SPACES.sub(" ", html.unescape("".join(self._title))).strip()
        return f"{title}\n\n{text}".strip() if title and not text.startswith(f"# {title}") else text

    def _skip(self, piece: _Piece) -> None:
        if piece.name == self._dropped:
            self._depth += -1 if piece.is_end else 1
            if not self._depth:
                self._dropped = None

    def _text(self, text: str) -> None:
        text = html.unescape(text)
        if not self._preformatted:
            text = _SPACES.sub(" ", text)
            if self._at_line_start():
                text = text.lstrip()
        if text:
            self._parts.append(text)

    def _tag(self, piece: _Piece) -> None:
        name, is_end = piece.name, piece.is_end
        if name == "a":
            self._end_link()
            target = None if is_end else _attributes(piece.text).get("href")
            self._link = (target, len(self._parts)) if target else None
        elif name == "img" and (alternative := _attributes(piece.text).get("alt", "").strip()):
            self._text(f"[picture: {alternative}]")
        elif name == "br":
            self._parts.append("\n")
        elif name in _HEADINGS:
            self._break(2, "" if is_end else _HEADINGS[name])
        elif name == "li":
            self._break(1, "" if is_end else "- ")
        elif name in _CELLS and not is_end:
            self._parts.append("| " if self._at_line_start() else " | ")
        elif name == "pre" and is_end == self._preformatted:
            self._break(1, "```\n")
            self._preformatted = not is_end
        elif name in _BLOCKS:
            self._break(2 if name == "p" else 1)

    def _end_link(self) -> None:
        """Writes a link as in Markdown, unless it leads to a place of the same page."""
        if self._link is None:
            return
        (target, start), self._link = self._link, None
        text = "".join(self._parts[start:]).strip()
        if text and "\n" not in text and not target.startswith(("#", "javascript:", "data:")):
            space = " " if self._parts[start].startswith(" ") else ""
            self._parts[start:] = [f"{space}[{text}]({_absolute(self._address, target)})"]

    def _break(self, lines: int, beginning: str = "") -> None:
        """Ends the current line, leaves empty ones, and begins the next one."""
        last = self._parts[-1][-lines:] if self._parts else "\n\n"
        missing = lines - last.count("\n") if last.endswith("\n") else lines
        if missing > 0 or beginning:
            self._parts.append("\n" * max(0, missing) + beginning)

    def _at_line_start(self) -> bool:
        return not self._parts or self._parts[-1].endswith(("\n", " "))


def _is_dropped(piece: _Piece) -> bool:
    """Whether an element is not text, or not visible."""
    if piece.name in _DROPPED:
        return True
    if "hidden" not in piece.text and "none" not in piece.text:
        return False
    attributes = _attributes(piece.text)
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(_INVISIBLE.search(attributes.get("style", "")))
    )


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text, 0, MAX_TAG_CHARS):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        found.setdefault(match[1].lower(), html.unescape(value))
    return found


def _absolute(base: str, target: str) -> str:
    try:
        return urljoin(base, target.strip())
    except ValueError:
        return target
