"""Tools for the files of a run's workspace: list, search, read, write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import Annotated, BinaryIO

from pydantic import Field

from holdfast.agents.tool import ToolContext, ToolError, tool
from holdfast.tools.listing import Glob, Listing
from holdfast.tools.page import MAX_READ_BYTES, Page, text_of
from holdfast.tools.workspace import Workspace, relative_path, shown
from holdfast.types import ToolResult, clean_text

MAX_LISTED = 500  # files in one list; a model that needs more should narrow its question
MAX_NOTES = 10  # messages about single files in one result

MAX_SEARCHED_FILE_BYTES = 2 * 1024 * 1024  # bytes; larger files are data or logs rather than documents
MAX_SEARCHED_BYTES = 200 * 1024 * 1024  # bytes in one search, which take a few seconds; far below the tool's timeout
MAX_SEARCH_TIME = 20.0  # seconds of one search, which a slow disk reaches before the size
MAX_HIT_CHARS = 300  # of a line with a hit
HIT_LEAD = 100  # characters shown before a hit that is far to the right

BINARY_PROBE = 8 * 1024  # bytes at the start of a file; with a NUL among them, it is not text


@tool(read_only=True)
def list_files(path: str = ".", pattern: str = "**/*", *, context: ToolContext) -> str:
    """List the files of the workspace, one per line: path, tab, size in bytes.

    Hidden folders, node_modules, __pycache__ and files that usually hold secrets are left out.

    Args:
        path: Folder to list, relative to the workspace.
        pattern: Glob below that folder. `*.md` matches files in the folder itself, `**/*.md` also those in subfolders,
            `**/*.{ts,tsx}` those with either ending.
        context: Context of the call, with the workspace.
    """
    listing = Listing.of(Workspace.of(context), relative_path(path), Glob.parse(pattern))
    lines = [f"{shown(file)}\t{size}" for file, size in listing.files[:MAX_LISTED]] or ["(no files)"]
    lines += _shown_notes(listing.notes)
    left_out = len(listing.files) - MAX_LISTED
    if left_out > 0:
        lines.append(f"({left_out} more files were left out; narrow the path or the pattern)")
    return "\n".join(lines)


@tool(read_only=True)
def search_files(
    query: str,
    path: str = ".",
    max_hits: Annotated[int, Field(ge=1, le=500)] = 40,
    *,
    context: ToolContext,
) -> str:
    """Search the text files of the workspace for a word or phrase.

    The result has one hit per line: path, line number, the line's text. The query is literal, without wildcards or
    regular expressions. Upper and lower case are equal.

    Args:
        query: The text to search for, within one line.
        path: Folder or file to search, relative to the workspace.
        max_hits: Maximum number of hits to return.
        context: Context of the call, with the workspace.
    """
    if not query.strip() or "\n" in query:
        raise ToolError("the query must be one line of text that is not blank")
    workspace = Workspace.of(context)
    listing = Listing.of(workspace, relative_path(path), Glob.parse("**"))
    hits = list(islice(_hits(workspace, listing, query.casefold()), max_hits + 1))
    lines = hits[:max_hits] or ["(no hits)"]
    lines += _shown_notes(listing.notes)
    if len(hits) > max_hits:
        lines.append("(more hits were left out; narrow the query or the path)")
    return "\n".join(lines)


@tool(read_only=True)
def read_file(
    path: str,
    start_line: Annotated[int, Field(ge=1)] = 1,
    max_lines: Annotated[int, Field(ge=1, le=2000)] = 200,
    *,
    context: ToolContext,
) -> str:
    """Read lines of a text file.

    The first line of the result says which lines follow, of how many. Each line begins with its number. Of a file of
    more than 64 MB, only the beginning is read.

    Args:
        path: File to read, relative to the workspace.
        start_line: Number of the first line to read.
        max_lines: Maximum number of lines to read.
        context: Context of the call, with the workspace.
    """
    file_path = relative_path(path)
    with Workspace.of(context).open(file_path) as file:
        _refuse_binary(file, file_path)
        page = Page.of(file, start_line, max_lines)
    if not page.lines and (page.total or start_line > 1):
        where = (
            "its end" if page.is_whole else f"the first {MAX_READ_BYTES:,} bytes, which is as far as this tool reads"
        )
        raise ToolError(f"{shown(file_path)!r} has {page.count} lines; start_line={start_line} is beyond {where}")
    first, last = (start_line, start_line + len(page.lines) - 1) if page.lines else (0, 0)
    return "\n".join([f"{shown(file_path)} lines {first}-{last} of {page.count}", *page.lines])


@tool(idempotent=True)
def write_file(path: str, content: str, *, context: ToolContext) -> ToolResult:
    """Write a text file. An existing file is replaced; missing folders are created.

    Args:
        path: File to write, relative to the workspace.
        content: The complete text of the file.
        context: Context of the call, with the workspace.
    """
    file_path = relative_path(path)
    data = clean_text(content).encode()
    Workspace.of(context).write(file_path, data)
    return ToolResult(content=f"wrote {shown(file_path)} ({len(data)} bytes)", files=[shown(file_path)])


def _hits(workspace: Workspace, listing: Listing, query: str) -> Iterator[str]:
    """Yields hits, and adds a note to the listing for each file that could not be searched."""
    left, deadline = MAX_SEARCHED_BYTES, time.monotonic() + MAX_SEARCH_TIME
    for path, size in listing.files:
        if time.monotonic() > deadline:
            listing.notes.append(f"stopped after {MAX_SEARCH_TIME:g} s; narrow the path")
            return
        if size > MAX_SEARCHED_FILE_BYTES:
            listing.notes.append(f"{shown(path)} was not searched: it is larger than 2 MB")
            continue
        left -= size
        if left < 0:
            listing.notes.append("stopped after 200 MB of text; narrow the path")
            return
        try:
            with workspace.open(path) as file:
                data = file.read(MAX_SEARCHED_FILE_BYTES)
        except (ToolError, OSError) as error:
            listing.notes.append(f"{shown(path)} was not searched: {error}")
            continue
        if b"\0" not in data[:BINARY_PROBE]:
            yield from _hits_in(path, data, query)


def _hits_in(path: PurePosixPath, data: bytes, query: str) -> Iterator[str]:
    for number, raw in enumerate(data.split(b"\n"), start=1):
        line = text_of(raw)
        place = line.casefold().find(query)
        if place >= 0:
            yield f"{shown(path)}:{number}: {_around(line, place, place + len(query))}"


def _around(line: str, start: int, end: int) -> str:
    """Returns the part of a line to show: its beginning, or the part around the hit."""
    first = 0 if end <= MAX_HIT_CHARS else max(0, start - HIT_LEAD)
    return line[first : first + MAX_HIT_CHARS]


def _refuse_binary(file: BinaryIO, path: PurePosixPath) -> None:
    if b"\0" in file.read(BINARY_PROBE):
        raise ToolError(f"{shown(path)!r} is not a text file")
    file.seek(0)


def _shown_notes(notes: list[str]) -> list[str]:
    lines = [f"({note})" for note in notes[:MAX_NOTES]]
    if len(notes) > MAX_NOTES:
        lines.append(f"({len(notes) - MAX_NOTES} more remarks were left out)")
    return lines
