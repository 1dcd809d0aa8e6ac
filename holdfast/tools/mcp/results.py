"""Results of calls of a server's tools: what the model can read, and what it cannot, by name."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

from holdfast.attachments import MAX_ATTACHMENTS, Attachment, content_fault
from holdfast.media_types import IMAGES, media_type_of, name_for
from holdfast.types import ToolResult

NO_CONTENT = "done"  # as a tool that returns None


def result_of(returned: Any) -> ToolResult:
    """Returns the result of a call.

    Args:
        returned: a `CallToolResult` of the MCP SDK.
    """
    parts = [_part(content) for content in returned.content]
    structured = returned.structured_content
    if structured is not None and not any(content.type == "text" for content in returned.content):
        parts.insert(0, json.dumps(structured, ensure_ascii=False, separators=(",", ":")))
    text = "\n\n".join(parts) or NO_CONTENT
    if returned.is_error:
        return ToolResult(error=text)
    images = [image for content in returned.content if (image := _image(content))][:MAX_ATTACHMENTS]
    return ToolResult(content=text, attachments=images) if images else ToolResult(content=text)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Returns the errors in a group of errors, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from causes(each)
    else:
        yield error


def _part(content: Any) -> str:
    match content.type:
        case "text":
            return str(content.text)
        case "image" if _image(content):
            return f"[image, {content.mime_type}, {_size(content.data)}]"
        case "image" | "audio":
            return f"[{content.type}, {content.mime_type}, {_size(content.data)}: it cannot be shown here]"
        case "resource_link":
            about = content.description or content.title or content.name
            return f"[resource {content.uri}: {about}]"
        case "resource":
            return _resource(content.resource)
        case other:
            return f"[{other}: it cannot be shown here]"


def _image(content: Any) -> Attachment | None:
    """Returns an image that the model can be shown, with its content; `None` for anything else."""
    if content.type != "image":
        return None
    try:
        data = base64.b64decode(content.data, validate=True)
    except (ValueError, binascii.Error):
        return None
    media_type = media_type_of("", data)
    if media_type not in IMAGES or content_fault("", media_type, len(data)):
        return None
    return Attachment(name=name_for(media_type), media_type=media_type, data=content.data)


def _resource(resource: Any) -> str:
    kind = resource.mime_type or "unknown type"
    if (text := getattr(resource, "text", None)) is not None:
        return f"[resource {resource.uri}, {kind}]\n{text}"
    return f"[resource {resource.uri}, {kind}, {_size(resource.blob)}: it cannot be shown here]"


def _size(data: str) -> str:
    try:
        return f"{len(base64.b64decode(data)):,} bytes"
    except (ValueError, binascii.Error):
        return f"{len(data):,} characters"
