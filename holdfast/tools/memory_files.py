"""Tools for the memory folder of an agent, whose files last over its runs: list, read, write, edit, delete."""

from __future__ import annotations

import io
from typing import Annotated

from pydantic import Field

from holdfast.agents.tool import Tool, ToolContext, ToolError, tool
from holdfast.errors import UsageError
from holdfast.ports.memory_files import MemoryFolder
from holdfast.tools.page import Page
from holdfast.types import clean_text


@tool(read_only=True)
async def memory_list(*, context: ToolContext) -> str:
    """List the files of your memory, which last over all of your runs.

    Args:
        context: Context of the call, with the memory.
    """
    try:
        files = await _folder(context).list()
    except UsageError as error:
        raise ToolError(str(error)) from None
    return "\n".join(f"{name} ({size} bytes)" for name, size in files) or "(no files yet)"


@tool(read_only=True)
async def memory_read(
    name: str,
    start_line: Annotated[int, Field(ge=1)] = 1,
    max_lines: Annotated[int, Field(ge=1, le=5000)] = 1000,
    *,
    context: ToolContext,
) -> str:
    """Read a file of your memory. Each line begins with its number.

    Args:
        name: Name of the file, as memory_list shows it.
        start_line: Number of the first line to read.
        max_lines: Maximum number of lines to read.
        context: Context of the call, with the memory.
    """
    try:
        data = await _folder(context).read(name)
    except UsageError as error:
        raise ToolError(str(error)) from None
    page = Page.of(io.BytesIO(data), start_line, max_lines)
    return "\n".join([f"{name}, {page.count} lines", *page.lines])


@tool(idempotent=True)
async def memory_write(name: str, content: str, *, context: ToolContext) -> str:
    """Write a file of your memory, to find it in later runs. An existing file is replaced.

    Args:
        name: Name of the file, such as customers.md or notes/2026.md.
        content: The complete text of the file.
        context: Context of the call, with the memory.
    """
    data = clean_text(content).encode()
    try:
        await _folder(context).write(name, data)
    except UsageError as error:
        raise ToolError(str(error)) from None
    return f"wrote {name} ({len(data)} bytes)"


@tool
async def memory_edit(name: str, old: str, new: str, *, context: ToolContext) -> str:
    """Replace a text in a file of your memory, which must have it exactly once.

    Args:
        name: Name of the file.
        old: The text to replace, without the line numbers that memory_read shows.
        new: The text to put in its place.
        context: Context of the call, with the memory.
    """
    try:
        await _folder(context).edit(name, clean_text(old), clean_text(new))
    except UsageError as error:
        raise ToolError(str(error)) from None
    return f"edited {name}"


@tool(idempotent=True, destructive=True)
async def memory_delete(name: str, *, context: ToolContext) -> str:
    """Delete a file of your memory.

    Args:
        name: Name of the file.
        context: Context of the call, with the memory.
    """
    try:
        await _folder(context).delete(name)
    except UsageError as error:
        raise ToolError(str(error)) from None
    return f"deleted {name}"


MEMORY_TOOLS: tuple[Tool, ...] = (memory_list, memory_read, memory_write, memory_edit, memory_delete)
"""What an agent with a `memory_path` is given."""


def _folder(context: ToolContext) -> MemoryFolder:
    if context.memory_folder is None:
        raise ToolError("this agent has no memory folder here: its definition needs a memory_path")
    return context.memory_folder
