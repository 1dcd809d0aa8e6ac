"""OpenAI's chat format, in which a transcript is sent to every provider. No I/O."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.attachments import Attachment
from holdfast.media_types import AUDIO_FORMATS


def replayable_arguments(text: str) -> str:
    """Returns the arguments of a call as a JSON object, in which strict providers accept them in a transcript.

    An object is returned unchanged; anything else is quoted in one.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if isinstance(value, dict) and _is_utf8(text, value):
            return text
    except (ValueError, RecursionError):
        pass
    return json.dumps({"malformed": text}, ensure_ascii=False)


def chat_call(call_id: str, name: str, arguments: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tool call in the chat format, with the fields that its provider added."""
    function = {"name": name, "arguments": replayable_arguments(arguments)}
    added = dict(fields)
    if isinstance(inner := added.pop("function", None), Mapping):
        function = {**inner, **function}
    return {**added, "id": call_id, "type": "function", "function": function}


def chat_message(
    role: str, content: str, calls: list[dict[str, Any]], call_id: str | None, fields: Mapping[str, Any]
) -> bytes:
    """Returns a message in the chat format, as JSON.

    Args:
        role: who wrote it.
        content: its text.
        calls: its tool calls, as `chat_call` returns them.
        call_id: for role `tool`, the call that it answers.
        fields: further fields that the provider sent with it.
    """
    chat: dict[str, Any] = {**fields, "role": role, "content": content}
    if role == "tool":
        chat["tool_call_id"] = call_id
    if calls:
        chat["content"] = content or None  # some providers reject empty text beside calls
        chat["tool_calls"] = calls
    return _dumped(chat)


RESULT_IMAGES = "These images belong to the results above:"
RESULT_FILES = "These files belong to the results above:"
"""How the message begins that shows the images of tool results, which chat completions accept from users only."""


def chat_parts(
    role: str,
    content: str,
    attachments: Iterable[Attachment],
    contents: Mapping[str, bytes],
    fields: Mapping[str, Any],
) -> bytes:
    """Returns a message with attachments in the chat format, as JSON: its text and they are the parts of its content.

    A message whose attachments are all text is text, which every server accepts.

    Args:
        role: who wrote it.
        content: its text.
        attachments: each stands behind the characters of the text that it follows.
        contents: of the attachments, by their digests.
        fields: further fields of the message.
    """
    parts: list[str | bytes] = []
    place = 0
    for attachment in sorted(attachments, key=lambda each: each.at):
        parts.append(content[place : attachment.at])
        place = max(place, attachment.at)
        parts.append(_file_text(attachment, contents) if attachment.is_text else _part(attachment, contents))
    parts.append(content[place:])
    parts = [part if isinstance(part, bytes) else part.strip("\n") for part in parts]
    parts = [part for part in parts if isinstance(part, bytes) or part.strip()]
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return chat_message(role, "\n\n".join(texts), [], None, fields)
    encoded = [_dumped({"type": "text", "text": part}) if isinstance(part, str) else part for part in parts]
    return _dumped({**fields, "role": role})[:-1] + b',"content":[' + b",".join(encoded) + b"]}"


def _file_text(attachment: Attachment, contents: Mapping[str, bytes]) -> str:
    text = contents[attachment.digest or ""].decode("utf-8", "replace")
    return f"The file {' '.join(attachment.name.split())}:\n\n{text}"


def _part(attachment: Attachment, contents: Mapping[str, bytes]) -> bytes:
    """Returns the part of a message that an attachment is. Base64 needs no escapes, so it is not encoded as JSON."""
    if attachment.url is not None:
        return _dumped({"type": "image_url", "image_url": {"url": attachment.url}})
    data = base64.b64encode(contents[attachment.digest or ""])
    if (form := AUDIO_FORMATS.get(attachment.media_type)) is not None:
        return b'{"type":"input_audio","input_audio":{"format":"' + form.encode() + b'","data":"' + data + b'"}}'
    url = _dumped(f"data:{attachment.media_type};base64,")[:-1] + data + b'"'
    if attachment.is_image:
        return b'{"type":"image_url","image_url":{"url":' + url + b"}}"
    name = _dumped(attachment.name)
    return b'{"type":"file","file":{"filename":' + name + b',"file_data":' + url + b"}}"


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is too large a number")
    return number


def _is_utf8(text: str, value: Any) -> bool:
    """Whether a value has no lone surrogates, which JSON can only contain as escapes."""
    if "\\u" not in text:
        return True
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
