"""Refusals of servers that do not accept images and files in messages, and what to do then. No I/O.

| the server says | for example |
|---|---|
| that the model sees no images | `Model does not support image input`, `No endpoints found that support image input` |
| that it knows text only | `content must be a string`, `unknown variant `image_url`, expected `text`` |
| that it does not take this file | `Invalid file data`, `unsupported MIME type` |
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from holdfast.attachments import Attachment, lines
from holdfast.errors import ModelError, ModelRefused
from holdfast.types import Message

_PARTS = re.compile(
    r"image|vision|multi-?modal|modalit|audio|\bfiles?\b|\bpdf\b|mime|media.?type"
    r"|content.{0,60}(?:string|text)|(?:string|text).{0,40}content|unknown variant",
    re.IGNORECASE | re.DOTALL,
)
"""What blames the parts of a message in a refusal."""
SHOWN = 3  # attachments that the explanation names


def explained(error: ModelError, messages: Iterable[Message], model: str) -> ModelError:
    """Returns the error of a request; if it blames images and files in it, with what they are and what to do."""
    attached = [each for message in messages for each in message.attachments if not each.is_text]
    if not attached or not isinstance(error, ModelRefused) or not _PARTS.search(str(error)):
        return error
    error.args = (f"{error}; {_advice(attached, model)}",)
    return error


def _advice(attached: list[Attachment], model: str) -> str:
    more = f" and {len(attached) - SHOWN} more" if len(attached) > SHOWN else ""
    return (
        f"the conversation has {lines(attached[:SHOWN])}{more}, which model {model!r} or its server seems not to "
        "accept: use a model that does, or attach text"
    )
