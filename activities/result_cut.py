"""Results of tools that are longer than their tool allows: cut, with a remark that says where the rest is."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from holdfast._util.logger import get_logger
from holdfast.agents.tool import ToolContext
from holdfast.types import ToolResult

log = get_logger(__name__)

FOLDER = "tool-results"
"""The folder of the workspace that has the whole results."""


async def cut(result: ToolResult, limit: int | None, context: ToolContext) -> ToolResult:
    """Returns a result whose content has at most `limit` bytes, and a remark behind it if there was more.

    Args:
        result: of a call.
        limit: in bytes of UTF-8; `None` means none.
        context: of the call, in whose workspace the whole content is kept.
    """
    if limit is None or len(result.content) * 4 <= limit:
        return result
    whole = result.content.encode()
    if len(whole) <= limit:
        return result
    file = await asyncio.to_thread(_keep, whole, context)
    kept = whole[:limit].decode(errors="ignore")
    left_out = len(whole) - len(kept.encode())
    where = (
        f"The whole result is in the file {file} of the workspace; read it in parts."
        if file
        else "Call the tool with arguments that select less."
    )
    return result.model_copy(
        update={
            "content": f"{kept}\n[cut here: {left_out:,} of {len(whole):,} bytes were left out. {where}]",
            "files": [*result.files, *([file] if file else [])],
            "left_out": left_out,
        }
    )


def _keep(content: bytes, context: ToolContext) -> str | None:
    """Writes a content to a file of the workspace and returns its path there; `None` if that cannot be written."""
    call = re.sub(r"[^A-Za-z0-9_.-]", "_", context.call_id)[:100]
    place = Path(FOLDER) / f"{context.tool}-{context.turn}-{call}.txt"
    try:
        folder = context.workspace / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink():
            raise OSError(f"{folder} is a link")
        (context.workspace / place).write_bytes(content)
    except OSError as error:
        log.warning("a long result was not kept in the workspace", tool=context.tool, reason=str(error))
        return None
    return place.as_posix()
