"""What is told of entries without a message: checkpoints, restores, compactions, and waits."""

from __future__ import annotations

from holdfast.cli.render.text import one_line
from holdfast.types import Entry


def context_line(entry: Entry) -> str | None:
    """Returns one of these entries on one line; `None` if it is another one."""
    data = entry.data
    by = f" ({one_line(str(data['by']))})" if data.get("by") else ""
    if entry.kind == "checkpoint":
        return f"checkpoint {one_line(str(data.get('name')))}{by}"
    if entry.kind == "restored":
        return f"went back to {one_line(str(data.get('checkpoint')))}, entry {data.get('to')}{by}"
    if entry.kind == "wait":
        return f"begins to wait for {one_line(str(data.get('wait', {}).get('what')))}"
    if entry.kind == "wait_ended":
        edited = ", with other arguments" if data.get("edited") else ""
        return f"{one_line(str(data.get('id')))}: {one_line(str(data.get('outcome')))}{edited}{by}"
    if entry.kind == "compaction":
        before, after = data.get("tokens_before", 0), data.get("tokens_after", 0)
        how = "summarized" if data.get("summarized") else "old results cleared" if data.get("cleared") else "unchanged"
        return f"context compacted from some {before:,} to {after:,} tokens: {how}{by}"
    return None
